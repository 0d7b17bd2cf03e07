/* The functions of libav that a video file needs, found at run time. Types are those of the headers
 * that were there at build time, so only libraries of the same major versions are opened.
 */
#ifndef RUNTIME_VISION_LIBAV_H
#define RUNTIME_VISION_LIBAV_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>

#include "../image/image.h"

/* Where a stream keeps its side data moved between two minor versions. */
#define RT_LIBAV_OLD_SIDE_DATA (LIBAVCODEC_VERSION_INT < AV_VERSION_INT(60, 31, 100))

/* X(library, symbol) */
// clang-format off
#define RT_LIBAV_FUNCTIONS(X)       \
    X(UTIL, av_log_get_level)       \
    X(UTIL, av_log_set_level)       \
    X(UTIL, av_strerror)            \
    X(UTIL, av_dict_set)            \
    X(UTIL, av_dict_free)           \
    X(UTIL, av_frame_alloc)         \
    X(UTIL, av_frame_free)          \
    X(UTIL, av_frame_get_buffer)    \
    X(SCALE, sws_getCachedContext)  \
    X(SCALE, sws_freeContext)       \
    X(SCALE, sws_getCoefficients)   \
    X(SCALE, sws_getColorspaceDetails) \
    X(SCALE, sws_setColorspaceDetails) \
    X(SCALE, sws_scale)             \
    X(CODEC, av_packet_alloc)       \
    X(CODEC, av_packet_free)        \
    X(CODEC, av_packet_unref)       \
    X(CODEC, avcodec_alloc_context3) \
    X(CODEC, avcodec_free_context)  \
    X(CODEC, avcodec_open2)         \
    X(CODEC, avcodec_parameters_to_context) \
    X(CODEC, avcodec_receive_frame) \
    X(CODEC, avcodec_send_packet)   \
    X(FORMAT, av_find_best_stream)  \
    X(FORMAT, av_guess_frame_rate)  \
    X(FORMAT, av_read_frame)        \
    X(FORMAT, avformat_alloc_context) \
    X(FORMAT, avformat_close_input) \
    X(FORMAT, avformat_find_stream_info) \
    X(FORMAT, avformat_open_input)  \
    RT_LIBAV_SIDE_DATA(X)
#if RT_LIBAV_OLD_SIDE_DATA
#define RT_LIBAV_SIDE_DATA(X) X(FORMAT, av_stream_get_side_data)
#else
#define RT_LIBAV_SIDE_DATA(X) X(CODEC, av_packet_side_data_get)
#endif
// clang-format on

typedef struct rt_libav {
#define RT_LIBAV_MEMBER(library, symbol) __typeof__(&symbol) symbol;
    RT_LIBAV_FUNCTIONS(RT_LIBAV_MEMBER)
#undef RT_LIBAV_MEMBER
} rt_libav;

/* The opened libraries, once a process, never closed. Any thread. UNSUPPORTED names the library that
 * is missing. */
ts_status rt_libav_get(const rt_libav **out, ts_err *err);

/* ---- libav_colours.c ---- */

/* What turning frames into RGB keeps from one to the next. Zero-initialise. */
typedef struct rt_libav_colours {
    struct SwsContext *scaler;
    AVFrame *rgb;
} rt_libav_colours;

/* A decoded frame as a picture of the same size: YUV by the matrix and range that the frame names, by
 * BT.601 and limited where it names none. *out: rt_image_free. UNSUPPORTED: a pixel format that
 * cannot be converted. */
ts_status rt_libav_image(const rt_libav *av, rt_libav_colours *colours, const AVFrame *frame,
                         rt_image *out, ts_err *err);
void rt_libav_colours_free(const rt_libav *av, rt_libav_colours *colours);

#endif
