/* WebP by libwebp; of an animation the first frame, on its canvas. */
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "codec.h"

static ts_status fail(VP8StatusCode code, ts_err *err) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for the decoder");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "a feature that libwebp does not know");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED: return ts_fail(err, TS_STATUS_CORRUPT, "the file is cut off");
    default: return ts_fail(err, TS_STATUS_CORRUPT, "the bit stream is broken");
    }
}

static void read_orientation(const WebPDemuxer *demuxer, decoding *d) {
    WebPChunkIterator chunk;
    if (!WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) return;
    d->orientation = rt_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
}

static ts_status decode_still(decoding *d, bool alpha, ts_err *err) {
    WebPDecoderConfig config;
    size_t stride = (size_t)d->image.width * (alpha ? 4 : 3);
    if (!WebPInitDecoderConfig(&config)) return fail(VP8_STATUS_INVALID_PARAM, err);
    config.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = d->image.pixels;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * (size_t)d->image.height;
    VP8StatusCode code = WebPDecode(d->bytes, d->size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? TS_STATUS_OK : fail(code, err);
}

static ts_status decode_first_frame(decoding *d, ts_err *err) {
    WebPAnimDecoderOptions options;
    const WebPData data = {d->bytes, d->size};
    uint8_t *canvas; /* the decoder's */
    int timestamp;
    if (!WebPAnimDecoderOptionsInit(&options)) return fail(VP8_STATUS_INVALID_PARAM, err);
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, &options);
    bool good = decoder && WebPAnimDecoderGetNext(decoder, &canvas, &timestamp);
    if (good) memcpy(d->image.pixels, canvas, 4 * (size_t)d->image.width * (size_t)d->image.height);
    WebPAnimDecoderDelete(decoder);
    return good ? TS_STATUS_OK : fail(VP8_STATUS_BITSTREAM_ERROR, err);
}

ts_status rt_webp_decode(decoding *d, ts_err *err) {
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(d->bytes, d->size, &features);
    if (code != VP8_STATUS_OK) return fail(code, err);
    uint32_t width = (uint32_t)features.width, height = (uint32_t)features.height;
    bool alpha = features.has_alpha || features.has_animation;
    TS_TRY(decoding_check_size(d, width, height, err));
    const WebPData data = {d->bytes, d->size};
    WebPDemuxer *demuxer = WebPDemux(&data); /* NULL: not whole */
    if (!demuxer) return fail(VP8_STATUS_NOT_ENOUGH_DATA, err);
    read_orientation(demuxer, d);
    WebPDemuxDelete(demuxer);
    TS_TRY(decoding_allocate(d, width, height, alpha ? 4 : 3, err));
    return features.has_animation ? decode_first_frame(d, err) : decode_still(d, alpha, err);
}
