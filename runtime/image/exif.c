/* The one field of EXIF that matters here, by libexif. */
#include <libexif/exif-data.h>
#include <string.h>

#include "codec.h"

static int orientation_of(const void *block, unsigned bytes) {
    int orientation = 1;
    ExifData *data = exif_data_new();
    if (!data) return orientation;
    /* No repair of what the standard misses: it would invent entries. */
    exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
    exif_data_load_data(data, block, bytes);
    const ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2) {
        int value = exif_get_short(entry->data, exif_data_get_byte_order(data));
        if (value >= 1 && value <= 8) orientation = value;
    }
    exif_data_unref(data);
    return orientation;
}

int rt_exif_orientation(const void *block, size_t bytes) {
    static const char prefix[6] = "Exif\0";
    uint8_t whole[65536 + sizeof prefix];
    /* JPEG has the prefix, PNG has none, WebP files are found with and without. The directory of
     * the picture itself comes first, so that a long block may be cut. */
    bool prefixed = bytes >= sizeof prefix && memcmp(block, prefix, sizeof prefix) == 0;
    size_t kept = bytes < 65536 ? bytes : 65536, offset = prefixed ? 0 : sizeof prefix;
    if (bytes == 0) return 1;
    memcpy(whole, prefix, offset);
    memcpy(whole + offset, block, kept);
    return orientation_of(whole, (unsigned)(offset + kept));
}
