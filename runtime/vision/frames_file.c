/* A video file through libav, twice from its beginning: once to count its frames, because what a
 * header says of them may be wrong or missing, and once to decode up to the last one that is wanted.
 * Frames are decoded in sequence rather than sought: which frame is the n-th is then never a guess.
 *
 * A file may be hostile. libav gets lists of formats, codecs and protocols, so that no playlist
 * reaches for another file or a server; frames have a greatest size and the whole a greatest time.
 * libav writes to stderr unless its log, which is the process's, is off: it is while we are inside.
 */
#include "video.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../image/codec.h"
#include "libav.h"

static const char formats[] =
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,ogg,asf,gif,ivf,nut,h264,hevc,obu,yuv4mpegpipe";
static const char codecs[] =
    "h264,hevc,vp8,vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg2video,mpeg1video,msmpeg4,msmpeg4v1,msmpeg4v2,"
    "wmv1,wmv2,wmv3,vc1,h263,flv,theora,mjpeg,prores,dnxhd,ffv1,huffyuv,ffvhuff,utvideo,rawvideo,png,gif";

struct rt_video {
    const rt_libav *av;
    char *path; /* for messages */
    rt_video_options options;
    double deadline;

    AVFormatContext *format;
    AVCodecContext *codec;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *frame;
    rt_libav_colours colours;
    bool drained;    /* the decoder was told that nothing follows */
    int orientation; /* as EXIF's */

    int64_t *wanted; /* numbers of frames, ascending */
    size_t count, at;
    int64_t decoded;
    double end; /* seconds: where the packets so far end, of whatever stream */
};

/* ---- errors and limits ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int is_late(void *context) {
    const rt_video *v = context;
    return now() > v->deadline;
}

static ts_status status_of(int code) {
    switch (code) {
    case AVERROR(ENOMEM): return TS_STATUS_OUT_OF_MEMORY;
    case AVERROR(EACCES):
    case AVERROR(EIO): return TS_STATUS_IO;
    case AVERROR(EINVAL): /* not on a list */
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_PATCHWELCOME: return TS_STATUS_UNSUPPORTED;
    default: return TS_STATUS_CORRUPT;
    }
}

static ts_status fail(const rt_video *v, int code, const char *what, ts_err *err) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    if (is_late((void *)(uintptr_t)v))
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%s: reading the video takes more than %.0f s: a shorter clip or a folder of "
            "its frames is needed",
            v->path, v->options.max_seconds);
    v->av->av_strerror(code, text, sizeof text);
    return ts_fail(err, status_of(code), "%s: %s: %s", v->path, what, text);
}

static ts_status check_size(const rt_video *v, int width, int height, ts_err *err) {
    if (width < 1 || height < 1)
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: frames of %d x %d pixels", v->path, width,
                       height);
    if ((int64_t)width * height <= v->options.max_pixels) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_UNSUPPORTED,
                   "%s: frames of %d x %d pixels, more than the limit of %lld: a smaller copy is "
                   "needed",
                   v->path, width, height, (long long)v->options.max_pixels);
}

/* ---- opening ---- */

/* EXIF's number for a display matrix, by the signs of its four upper left entries (16.16). */
static int orientation_of(const int32_t *matrix) {
    static const struct {
        int8_t a, b, c, d, orientation;
    } turns[] = {{-1, 0, 0, 1, 2}, {-1, 0, 0, -1, 3}, {1, 0, 0, -1, 4}, {0, 1, 1, 0, 5},
                 {0, 1, -1, 0, 6}, {0, -1, -1, 0, 7}, {0, -1, 1, 0, 8}};
    static const int at[] = {0, 1, 3, 4};
    int sign[4];
    for (int i = 0; i < 4; i++) sign[i] = (matrix[at[i]] > 1 << 15) - (matrix[at[i]] < -(1 << 15));
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        if (turns[i].a == sign[0] && turns[i].b == sign[1] && turns[i].c == sign[2] &&
            turns[i].d == sign[3])
            return turns[i].orientation;
    return 1; /* also a turn by no right angle */
}

static const int32_t *display_matrix(const rt_video *v) {
    size_t bytes = 0;
#if RT_LIBAV_OLD_SIDE_DATA
    const void *data = v->av->av_stream_get_side_data(v->stream, AV_PKT_DATA_DISPLAYMATRIX, &bytes);
#else
    const AVCodecParameters *p = v->stream->codecpar;
    const AVPacketSideData *side = v->av->av_packet_side_data_get(
        p->coded_side_data, p->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    const void *data = side ? side->data : NULL;
    if (side) bytes = side->size;
#endif
    return bytes >= 9 * sizeof(int32_t) ? data : NULL;
}

static ts_status open_codec(rt_video *v, const AVCodec *codec, ts_err *err) {
    const AVCodecParameters *parameters = v->stream->codecpar;
    TS_TRY(check_size(v, parameters->width, parameters->height, err));
    v->codec = v->av->avcodec_alloc_context3(codec);
    int code = v->codec ? v->av->avcodec_parameters_to_context(v->codec, parameters)
                        : AVERROR(ENOMEM);
    if (code >= 0) {
        v->codec->max_pixels = v->options.max_pixels;
        v->codec->thread_count = v->options.threads;
        v->codec->err_recognition = AV_EF_CAREFUL;
        AVDictionary *limits = NULL;
        code = v->av->av_dict_set(&limits, "codec_whitelist", codecs, 0);
        if (code >= 0) code = v->av->avcodec_open2(v->codec, codec, &limits);
        v->av->av_dict_free(&limits);
    }
    return code < 0 ? fail(v, code, "its codec cannot be read", err) : TS_STATUS_OK;
}

/* From the beginning of the file. */
static ts_status open_file(rt_video *v, ts_err *err) {
    const rt_libav *av = v->av;
    const AVCodec *codec = NULL;
    AVDictionary *limits = NULL;
    ts_buf url = {0};
    ts_buf_printf(&url, "file:%s", v->path); /* no other protocol, whatever the name looks like */
    v->format = av->avformat_alloc_context();
    int code = v->format && !url.failed ? 0 : AVERROR(ENOMEM);
    if (code >= 0) {
        v->format->interrupt_callback = (AVIOInterruptCB){is_late, v};
        code = av->av_dict_set(&limits, "format_whitelist", formats, 0);
    }
    if (code >= 0) code = av->av_dict_set(&limits, "codec_whitelist", codecs, 0);
    if (code >= 0) code = av->av_dict_set(&limits, "protocol_whitelist", "file", 0);
    if (code >= 0) code = av->avformat_open_input(&v->format, url.data, NULL, &limits);
    av->av_dict_free(&limits);
    ts_buf_free(&url);
    if (code >= 0) code = av->avformat_find_stream_info(v->format, NULL);
    if (code < 0)
        return fail(v, code,
                    code == AVERROR(EINVAL) ? "its format is none of those that are read"
                                            : "no video that can be read",
                    err);
    int index = av->av_find_best_stream(v->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (index < 0) return fail(v, index, "no video stream that can be read", err);
    v->stream = v->format->streams[index];
    const int32_t *matrix = display_matrix(v);
    v->orientation = matrix ? orientation_of(matrix) : 1;
    return open_codec(v, codec, err);
}

static void close_file(rt_video *v) {
    v->av->avcodec_free_context(&v->codec);
    v->av->avformat_close_input(&v->format);
    v->drained = false;
    v->decoded = 0;
    v->end = 0;
}

/* ---- reading ---- */

static void note_end(rt_video *v) {
    const AVPacket *p = v->packet;
    AVRational base = v->format->streams[p->stream_index]->time_base;
    int64_t at = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
    if (at == AV_NOPTS_VALUE || base.den < 1) return;
    double end = ((double)at + (double)p->duration) * base.num / base.den;
    if (end > v->end) v->end = end;
}

/* The stream's next packet; *ended: there is none. */
static ts_status read_packet(rt_video *v, bool *ended, ts_err *err) {
    for (;;) {
        v->av->av_packet_unref(v->packet);
        int code = v->av->av_read_frame(v->format, v->packet);
        *ended = code == AVERROR_EOF;
        if (is_late(v)) return fail(v, AVERROR_EXIT, "reading", err);
        if (*ended) return TS_STATUS_OK;
        if (code < 0) return fail(v, code, "the file is damaged", err);
        note_end(v);
        if (v->packet->stream_index != v->stream->index || v->packet->size == 0) continue;
        if (v->packet->flags & AV_PKT_FLAG_CORRUPT)
            return fail(v, AVERROR_INVALIDDATA, "the file is cut off or damaged", err);
        return TS_STATUS_OK;
    }
}

/* The next frame to v->frame; *ended: there is none. */
static ts_status decode(rt_video *v, bool *ended, ts_err *err) {
    *ended = false;
    for (;;) {
        int code = v->av->avcodec_receive_frame(v->codec, v->frame);
        if (code == AVERROR(EAGAIN) && !v->drained) {
            TS_TRY(read_packet(v, &v->drained, err));
            code = v->av->avcodec_send_packet(v->codec, v->drained ? NULL : v->packet);
            if (code >= 0) continue;
        }
        *ended = code == AVERROR_EOF;
        if (*ended) return TS_STATUS_OK;
        if (code < 0) return fail(v, code, "a frame cannot be decoded", err);
        v->decoded++;
        return check_size(v, v->frame->width, v->frame->height, err);
    }
}

/* Packets are counted where each is a frame; a broadcast may begin between two key frames, and VP8
 * has frames that are never shown. */
static ts_status count_frames(rt_video *v, int64_t *total, ts_err *err) {
    bool by_decoding = (v->format->iformat->flags & AVFMT_TS_DISCONT) != 0 ||
                       v->stream->codecpar->codec_id == AV_CODEC_ID_VP8;
    bool ended = false;
    for (*total = 0;; (*total)++) {
        TS_TRY(by_decoding ? decode(v, &ended, err) : read_packet(v, &ended, err));
        if (ended) return TS_STATUS_OK;
        if (!by_decoding && (v->packet->flags & AV_PKT_FLAG_DISCARD)) (*total)--;
    }
}

/* Some containers just end where a file is cut off: their header then promises more than came. */
static ts_status check_end(const rt_video *v, double fps, ts_err *err) {
    const AVFormatContext *f = v->format;
    if (f->duration == AV_NOPTS_VALUE ||
        f->duration_estimation_method != AVFMT_DURATION_FROM_STREAM)
        return TS_STATUS_OK;
    double start = f->start_time == AV_NOPTS_VALUE ? 0 : (double)f->start_time / AV_TIME_BASE;
    double promised = (double)f->duration / AV_TIME_BASE, slack = fps > 0 ? 2 / fps : 1;
    if (v->end - start + slack >= 0.9 * promised) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_CORRUPT,
                   "%s: the file is cut off: its header says %.1f s, it ends after %.1f s", v->path,
                   promised, v->end - start);
}

static ts_status take_frame(rt_video *v, rt_image *out, ts_err *err) {
    rt_image image = {0};
    ts_err reason;
    ts_status status = rt_libav_image(v->av, &v->colours, v->frame, &image, &reason);
    if (status != TS_STATUS_OK) return ts_fail(err, status, "%s: %s", v->path, reason.message);
    status = rt_image_orient(&image, v->orientation, err);
    if (status == TS_STATUS_OK) {
        *out = image;
    } else {
        rt_image_free(&image);
    }
    return status;
}

/* ---- the interface ---- */

static ts_status choose_frames(rt_video *v, ts_err *err) {
    int64_t total = 0;
    ts_err reason;
    TS_TRY(open_file(v, err));
    TS_TRY(count_frames(v, &total, err));
    AVRational rate = v->av->av_guess_frame_rate(v->format, v->stream, NULL);
    double fps = rate.den > 0 ? (double)rate.num / rate.den : 0;
    TS_TRY(check_end(v, fps, err));
    ts_status status = rt_frames_sample(&v->options.frames, total, fps, &v->wanted, &v->count,
                                        &reason);
    if (status != TS_STATUS_OK) return ts_fail(err, status, "%s: %s", v->path, reason.message);
    close_file(v);
    return open_file(v, err);
}

static ts_status open_video(rt_video *v, ts_err *err) {
    v->packet = v->av->av_packet_alloc();
    v->frame = v->av->av_frame_alloc();
    if (!v->packet || !v->frame) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", v->path);
    int level = v->av->av_log_get_level();
    v->av->av_log_set_level(AV_LOG_QUIET);
    ts_status status = choose_frames(v, err);
    v->av->av_log_set_level(level);
    return status;
}

/* It is read twice, and opening a pipe could wait for ever. */
static ts_status check_file(const char *path, ts_err *err) {
    struct stat info;
    if (stat(path, &info) != 0)
        return ts_fail(err, errno == ENOENT ? TS_STATUS_NOT_FOUND : TS_STATUS_IO, "%s: %s", path,
                       strerror(errno));
    return S_ISREG(info.st_mode) ? TS_STATUS_OK
                                 : ts_fail(err, TS_STATUS_IO, "%s: no regular file", path);
}

ts_status rt_video_open(const char *path, const rt_video_options *options, rt_video **out,
                        ts_err *err) {
    const rt_libav *av;
    ts_err reason;
    TS_TRY(check_file(path, err));
    ts_status status = rt_libav_get(&av, &reason);
    if (status != TS_STATUS_OK)
        return ts_fail(err, status,
                       "%s: %s; a folder of frames is read without it (ffmpeg -i FILE -vf fps=2 "
                       "DIR/%%05d.png makes one)",
                       path, reason.message);
    rt_video *v = calloc(1, sizeof *v);
    char *own_path = strdup(path);
    if (!v || !own_path) {
        free(v);
        free(own_path);
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s", path);
    }
    v->av = av;
    v->path = own_path;
    v->options = options ? *options : rt_video_defaults();
    v->deadline = now() + v->options.max_seconds;
    status = open_video(v, err);
    if (status == TS_STATUS_OK) {
        *out = v;
    } else {
        rt_video_close(v);
    }
    return status;
}

size_t rt_video_count(const rt_video *v) { return v->count; }

static ts_status next(rt_video *v, rt_image *out, ts_err *err) {
    bool ended = false;
    while (v->decoded <= v->wanted[v->at]) {
        TS_TRY(decode(v, &ended, err));
        if (ended)
            return ts_fail(
                err, TS_STATUS_CORRUPT,
                "%s: only %lld frames can be decoded, %lld are needed: the file is cut off "
                "or damaged",
                v->path, (long long)v->decoded, (long long)v->wanted[v->at] + 1);
    }
    return take_frame(v, out, err);
}

ts_status rt_video_next(rt_video *v, rt_image *out, ts_err *err) {
    if (v->at == v->count)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s: no frame is left", v->path);
    int level = v->av->av_log_get_level();
    v->av->av_log_set_level(AV_LOG_QUIET);
    ts_status status = next(v, out, err);
    v->av->av_log_set_level(level);
    v->at = status == TS_STATUS_OK ? v->at + 1 : v->count;
    return status;
}

void rt_video_close(rt_video *v) {
    if (!v) return;
    close_file(v);
    rt_libav_colours_free(v->av, &v->colours);
    v->av->av_frame_free(&v->frame);
    v->av->av_packet_free(&v->packet);
    free(v->wanted);
    free(v->path);
    free(v);
}
