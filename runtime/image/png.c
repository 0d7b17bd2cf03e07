/* PNG by libpng: 8-bit RGB or RGBA. Of 16-bit samples the high byte counts; gamma and colour
 * profiles are left alone, as the reference's decoder does. Chunks that mean nothing here are
 * skipped unread: a small file may hold gigabytes of compressed text.
 */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

typedef struct reader {
    decoding *d;
    size_t at;
    png_structp png;
    png_infop info;
    png_bytepp rows;
    jmp_buf failed;
    ts_err *err;
    ts_status status;
} reader;

_Noreturn static void on_error(png_structp png, png_const_charp message) {
    reader *r = png_get_error_ptr(png);
    /* libpng's message for a failed allocation */
    bool memory = strstr(message, "emory") != NULL;
    r->status = ts_fail(r->err, memory ? TS_STATUS_OUT_OF_MEMORY : TS_STATUS_CORRUPT, "%s",
                        message);
    longjmp(r->failed, 1);
}

static void on_warning(png_structp png, png_const_charp message) { (void)png, (void)message; }

static void read_bytes(png_structp png, png_bytep out, size_t bytes) {
    reader *r = png_get_io_ptr(png);
    if (bytes > r->d->size - r->at) png_error(png, "the file is cut off");
    memcpy(out, r->d->bytes + r->at, bytes);
    r->at += bytes;
}

/* Whatever the file holds becomes 8-bit RGB, with alpha where it has some. */
static int set_transformations(reader *r) {
    int colour = png_get_color_type(r->png, r->info);
    bool transparent = png_get_valid(r->png, r->info, PNG_INFO_tRNS) != 0;
    png_set_strip_16(r->png);
    png_set_packing(r->png);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
    if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(r->png);
    if (transparent) png_set_tRNS_to_alpha(r->png);
    if (!(colour & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    return transparent || (colour & PNG_COLOR_MASK_ALPHA) ? 4 : 3;
}

/* The frame that on_error jumps into; what must survive the jump is in *r. */
static ts_status decode(reader *r) {
    if (setjmp(r->failed)) return r->status;
    png_set_read_fn(r->png, r, read_bytes);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
    png_set_user_limits(r->png, INT32_MAX, INT32_MAX); /* ours is on the product */
    png_read_info(r->png, r->info);
    uint32_t width = png_get_image_width(r->png, r->info);
    uint32_t height = png_get_image_height(r->png, r->info);
    TS_TRY(decoding_check_size(r->d, width, height, r->err));
    int channels = set_transformations(r);
    size_t row_bytes = (size_t)width * (size_t)channels;
    if (png_get_rowbytes(r->png, r->info) != row_bytes) png_error(r->png, "unknown pixel format");
    TS_TRY(decoding_allocate(r->d, width, height, channels, r->err));
    r->rows = png_malloc(r->png, height * sizeof *r->rows);
    for (uint32_t y = 0; y < height; y++) r->rows[y] = r->d->image.pixels + y * row_bytes;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, r->info); /* an eXIf chunk may stand behind the pixels */
    png_bytep exif = NULL;
    png_uint_32 exif_bytes = 0;
    if (png_get_eXIf_1(r->png, r->info, &exif_bytes, &exif))
        r->d->orientation = rt_exif_orientation(exif, exif_bytes);
    return TS_STATUS_OK;
}

ts_status rt_png_decode(decoding *d, ts_err *err) {
    reader r = {.d = d, .err = err};
    ts_status status = TS_STATUS_OUT_OF_MEMORY;
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (r.info) {
        status = decode(&r);
    } else {
        ts_fail(err, status, "no memory for the decoder");
    }
    if (r.rows) png_free(r.png, r.rows);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    return status;
}
