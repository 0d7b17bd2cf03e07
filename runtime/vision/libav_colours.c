/* Frames to RGB by libswscale. It writes whole vectors of pixels, so its rows are padded and lie in a
 * frame of libav's own; the picture is a copy.
 */
#include <string.h>

#include "libav.h"

static ts_status make_room(const rt_libav *av, rt_libav_colours *c, const AVFrame *f, ts_err *err) {
    if (c->rgb && c->rgb->width == f->width && c->rgb->height == f->height) return TS_STATUS_OK;
    av->av_frame_free(&c->rgb);
    AVFrame *rgb = av->av_frame_alloc();
    if (rgb) {
        rgb->format = AV_PIX_FMT_RGB24;
        rgb->width = f->width;
        rgb->height = f->height;
        if (av->av_frame_get_buffer(rgb, 0) < 0) av->av_frame_free(&rgb);
    }
    c->rgb = rgb;
    return rgb ? TS_STATUS_OK
               : ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "a frame of %d x %d pixels", f->width,
                         f->height);
}

static ts_status make_scaler(const rt_libav *av, rt_libav_colours *c, const AVFrame *f,
                             ts_err *err) {
    int *inverse, *table, from_full, to_full, brightness, contrast, saturation;
    c->scaler = av->sws_getCachedContext(
        c->scaler, f->width, f->height, (enum AVPixelFormat)f->format, f->width, f->height,
        AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!c->scaler)
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "frames in a pixel format that is not converted");
    if (av->sws_getColorspaceDetails(c->scaler, &inverse, &from_full, &table, &to_full, &brightness,
                                     &contrast, &saturation) < 0)
        return TS_STATUS_OK; /* no YUV: nothing depends on it */
    if (f->color_range != AVCOL_RANGE_UNSPECIFIED) from_full = f->color_range == AVCOL_RANGE_JPEG;
    av->sws_setColorspaceDetails(c->scaler, av->sws_getCoefficients((int)f->colorspace), from_full,
                                 table, 1, brightness, contrast, saturation);
    return TS_STATUS_OK;
}

ts_status rt_libav_image(const rt_libav *av, rt_libav_colours *c, const AVFrame *f, rt_image *out,
                         ts_err *err) {
    rt_image image = {0};
    TS_TRY(make_room(av, c, f, err));
    TS_TRY(make_scaler(av, c, f, err));
    int rows = av->sws_scale(c->scaler, (const uint8_t *const *)f->data, f->linesize, 0, f->height,
                             c->rgb->data, c->rgb->linesize);
    if (rows != f->height)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "frames whose colours are not converted");
    TS_TRY(rt_image_allocate(f->width, f->height, &image, err));
    size_t row_bytes = 3 * (size_t)image.width;
    for (int32_t y = 0; y < image.height; y++)
        memcpy(image.pixels + (size_t)y * row_bytes,
               c->rgb->data[0] + (ptrdiff_t)y * c->rgb->linesize[0], row_bytes);
    *out = image;
    return TS_STATUS_OK;
}

void rt_libav_colours_free(const rt_libav *av, rt_libav_colours *c) {
    av->sws_freeContext(c->scaler);
    av->av_frame_free(&c->rgb);
    *c = (rt_libav_colours){0};
}
