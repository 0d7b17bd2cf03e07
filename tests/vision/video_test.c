/* Video files: made here with libav's encoders, read back by the runtime and compared with what was
 * put in. A build without libav checks what it says instead. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/vision/video.h"

static char folder[] = "/tmp/tunesmith-video-XXXXXX";

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* Opens the file and reads all its frames. Nothing may go to stderr meanwhile. */
static ts_status read_all(const char *path, const rt_video_options *options, ts_err *err) {
    rt_video *video = NULL;
    FILE *log = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_true(log && saved >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
    ts_status status = rt_video_open(path, options, &video, err);
    for (size_t i = 0; status == TS_STATUS_OK && i < rt_video_count(video); i++) {
        rt_image image;
        status = rt_video_next(video, &image, err);
        if (status == TS_STATUS_OK) rt_image_free(&image);
    }
    rt_video_close(video);
    dup2(saved, STDERR_FILENO);
    close(saved);
    struct stat info;
    assert_int_equal(fstat(fileno(log), &info), 0);
    assert_int_equal(info.st_size, 0);
    fclose(log);
    return status;
}

/* The file is refused with one line that names it and says `words`. */
static void refused(const char *path, const rt_video_options *options, ts_status status,
                    const char *words) {
    ts_err err = {0};
    ts_status got = read_all(path, options, &err);
    if (got != status || !strstr(err.message, words) || !strstr(err.message, path) ||
        strchr(err.message, '\n'))
        fail_msg("status %d (want %d), \"%s\" (want \"%s\")", got, status, err.message, words);
}

#ifdef TS_LIBAV
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>

enum { WIDTH = 96, HEIGHT = 64 };

/* Fills the planes of frame i. */
typedef void (*painter)(AVFrame *frame, int i);

typedef struct recipe {
    const char *name; /* the ending chooses the container */
    enum AVCodecID codec;
    enum AVPixelFormat format;
    painter paint;
    int frames, fps;
    enum AVColorSpace space;
    enum AVColorRange range;
    int b_frames;
    double turn; /* degrees clockwise, as the file says of itself */
} recipe;

static uint8_t pixel(int x, int y, int i, int c) {
    return (uint8_t)(c == 0 ? 2 * x + i : c == 1 ? 3 * y + 5 * i : (x ^ y) + 9 * i);
}

static void paint_rgb(AVFrame *frame, int i) {
    bool reversed = frame->format == AV_PIX_FMT_BGR24;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                frame->data[0][y * frame->linesize[0] + 3 * x + (reversed ? 2 - c : c)] = pixel(
                    x, y, i, c);
}

/* A grey that tells the number of the frame. */
static void paint_grey(AVFrame *frame, int i) {
    for (int plane = 0; plane < 3; plane++)
        memset(frame->data[plane], plane ? 128 : 20 + 8 * i,
               (size_t)frame->linesize[plane] * (size_t)(plane ? HEIGHT / 2 : HEIGHT));
}

/* One colour in 4:4:4. */
static void paint_colour(AVFrame *frame, int i) {
    static const int yuv[] = {110, 90, 200};
    (void)i;
    for (int plane = 0; plane < 3; plane++)
        memset(frame->data[plane], yuv[plane], (size_t)frame->linesize[plane] * HEIGHT);
}

static void drain(AVFormatContext *out, AVCodecContext *codec, AVStream *stream, AVPacket *packet) {
    while (avcodec_receive_packet(codec, packet) == 0) {
        av_packet_rescale_ts(packet, codec->time_base, stream->time_base);
        packet->duration = av_rescale_q(1, codec->time_base, stream->time_base);
        assert_true(av_interleaved_write_frame(out, packet) >= 0);
    }
}

static AVCodecContext *open_encoder(const recipe *r, const AVFormatContext *out) {
    const AVCodec *encoder = avcodec_find_encoder(r->codec);
    assert_non_null(encoder);
    AVCodecContext *codec = avcodec_alloc_context3(encoder);
    codec->width = WIDTH;
    codec->height = HEIGHT;
    codec->pix_fmt = r->format;
    codec->time_base = (AVRational){1, r->fps};
    codec->framerate = (AVRational){r->fps, 1};
    codec->colorspace = r->space ? r->space : AVCOL_SPC_UNSPECIFIED;
    codec->color_range = r->range;
    codec->max_b_frames = r->b_frames;
    codec->gop_size = 12;
    codec->global_quality = 2 * FF_QP2LAMBDA;
    codec->flags |= AV_CODEC_FLAG_QSCALE;
    codec->thread_count = 1;
    if (out->oformat->flags & AVFMT_GLOBALHEADER) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    assert_int_equal(avcodec_open2(codec, encoder, NULL), 0);
    return codec;
}

static void make_video(const recipe *r) {
    AVFormatContext *out = NULL;
    av_log_set_level(AV_LOG_QUIET);
    assert_true(avformat_alloc_output_context2(&out, NULL, NULL, path_of(r->name)) >= 0);
    AVStream *stream = avformat_new_stream(out, NULL);
    AVCodecContext *codec = open_encoder(r, out);
    assert_true(avcodec_parameters_from_context(stream->codecpar, codec) >= 0);
    stream->time_base = codec->time_base;
    stream->avg_frame_rate = codec->framerate;
    if (r->turn != 0) {
        uint8_t *matrix = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, 36);
        av_display_rotation_set((int32_t *)(void *)matrix, r->turn);
    }
    assert_true(avio_open(&out->pb, path_of(r->name), AVIO_FLAG_WRITE) >= 0);
    assert_true(avformat_write_header(out, NULL) >= 0);
    AVPacket *packet = av_packet_alloc();
    for (int i = 0; i < r->frames; i++) {
        AVFrame *frame = av_frame_alloc();
        frame->format = r->format;
        frame->width = WIDTH;
        frame->height = HEIGHT;
        frame->pts = i;
        frame->quality = codec->global_quality;
        frame->colorspace = codec->colorspace;
        frame->color_range = codec->color_range;
        assert_int_equal(av_frame_get_buffer(frame, 0), 0);
        r->paint(frame, i);
        assert_int_equal(avcodec_send_frame(codec, frame), 0);
        av_frame_free(&frame);
        drain(out, codec, stream, packet);
    }
    avcodec_send_frame(codec, NULL);
    drain(out, codec, stream, packet);
    assert_int_equal(av_write_trailer(out), 0);
    avio_closep(&out->pb);
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    avformat_free_context(out);
}

static rt_video *open_video(const char *name, int32_t count) {
    rt_video_options options = rt_video_defaults();
    rt_video *video = NULL;
    ts_err err;
    options.frames.count = count;
    if (rt_video_open(path_of(name), &options, &video, &err)) fail_msg("%s", err.message);
    return video;
}

static rt_image next_image(rt_video *video) {
    rt_image image;
    ts_err err;
    if (rt_video_next(video, &image, &err)) fail_msg("%s", err.message);
    return image;
}

static const recipe lossless[] = {
    {"rgb.mkv", AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24, paint_rgb, 30, 30, 0, 0, 0, 0},
    {"rgb.avi", AV_CODEC_ID_RAWVIDEO, AV_PIX_FMT_BGR24, paint_rgb, 30, 30, 0, 0, 0, 0},
    {"rgb.mov", AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24, paint_rgb, 30, 30, 0, 0, 0, 0},
};

/* 30 frames at 30 a second: the sampling of one second takes four, and these are their pixels. */
static void sampled_pixels(void **state) {
    (void)state;
    static const int wanted[] = {0, 10, 19, 29};
    for (size_t k = 0; k < sizeof lossless / sizeof *lossless; k++) {
        make_video(&lossless[k]);
        rt_video *video = open_video(lossless[k].name, 0);
        assert_int_equal(rt_video_count(video), 4);
        for (int n = 0; n < 4; n++) {
            rt_image image = next_image(video);
            assert_int_equal(image.width, WIDTH);
            assert_int_equal(image.height, HEIGHT);
            for (int y = 0; y < HEIGHT; y++)
                for (int x = 0; x < WIDTH; x++)
                    for (int c = 0; c < 3; c++)
                        assert_int_equal(image.pixels[(y * WIDTH + x) * 3 + c],
                                         pixel(x, y, wanted[n], c));
            rt_image_free(&image);
        }
        rt_image image;
        assert_int_equal(rt_video_next(video, &image, NULL), TS_STATUS_INVALID_ARGUMENT);
        rt_video_close(video);
    }
}

/* Frames that the file holds in another order than they are shown, and a decoder that lags. */
static void frames_in_order(void **state) {
    (void)state;
    static const recipe r[] = {
        {"b.avi", AV_CODEC_ID_MPEG4, AV_PIX_FMT_YUV420P, paint_grey, 24, 12, 0, 0, 2, 0},
        {"b.mkv", AV_CODEC_ID_MPEG4, AV_PIX_FMT_YUV420P, paint_grey, 24, 12, 0, 0, 2, 0},
        {"b.ts", AV_CODEC_ID_MPEG2VIDEO, AV_PIX_FMT_YUV420P, paint_grey, 24, 24, 0, 0, 2, 0},
    };
    for (size_t k = 0; k < sizeof r / sizeof *r; k++) {
        make_video(&r[k]);
        rt_video *video = open_video(r[k].name, 24);
        assert_int_equal(rt_video_count(video), 24);
        for (int i = 0; i < 24; i++) {
            rt_image image = next_image(video);
            double grey = (20 + 8 * i - 16) * 255.0 / 219;
            if (fabs(image.pixels[3 * (30 * WIDTH + 40)] - grey) > 4)
                fail_msg("%s: frame %d is %d, not %.0f", r[k].name, i,
                         image.pixels[3 * (30 * WIDTH + 40)], grey);
            rt_image_free(&image);
        }
        rt_video_close(video);
    }
}

/* The colour of Y 110, Cb 90, Cr 200 by the matrix (Kr, Kb) and range that the file names. */
static void colours(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum AVColorSpace space;
        enum AVColorRange range;
        double kr, kb;
    } cases[] = {
        {"709.mkv", AVCOL_SPC_BT709, AVCOL_RANGE_MPEG, 0.2126, 0.0722},
        {"709full.mkv", AVCOL_SPC_BT709, AVCOL_RANGE_JPEG, 0.2126, 0.0722},
        {"601.mkv", AVCOL_SPC_SMPTE170M, AVCOL_RANGE_MPEG, 0.299, 0.114},
        {"601full.mkv", AVCOL_SPC_SMPTE170M, AVCOL_RANGE_JPEG, 0.299, 0.114},
        {"unnamed.mkv", 0, 0, 0.299, 0.114},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bool full = cases[k].range == AVCOL_RANGE_JPEG;
        double kr = cases[k].kr, kb = cases[k].kb;
        recipe r = {cases[k].name,
                    AV_CODEC_ID_FFV1,
                    AV_PIX_FMT_YUV444P,
                    paint_colour,
                    4,
                    4,
                    cases[k].space,
                    cases[k].range,
                    0,
                    0};
        double y = full ? 110 : (110 - 16) * 255.0 / 219, scale = full ? 1 : 255.0 / 224;
        double cb = (90 - 128) * scale, cr = (200 - 128) * scale;
        double wanted[3] = {y + 2 * (1 - kr) * cr, 0, y + 2 * (1 - kb) * cb};
        wanted[1] = (y - kr * wanted[0] - kb * wanted[2]) / (1 - kr - kb);
        make_video(&r);
        rt_video *video = open_video(r.name, 2);
        rt_image image = next_image(video);
        for (int c = 0; c < 3; c++) {
            int got = image.pixels[3 * (20 * WIDTH + 20) + c];
            if (fabs(got - fmin(wanted[c], 255)) > 2)
                fail_msg("%s: channel %d is %d, not %.1f", r.name, c, got, wanted[c]);
        }
        rt_image_free(&image);
        rt_video_close(video);
    }
}

/* Telephones film on their side and say so. */
static void turned(void **state) {
    (void)state;
    for (int turn = -90; turn <= 180; turn += 90) {
        recipe r = {"turn.mov", AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24, paint_rgb, 2, 2, 0, 0, 0, turn};
        make_video(&r);
        rt_video *video = open_video(r.name, 2);
        rt_image image = next_image(video);
        bool side = turn == 90 || turn == -90;
        assert_int_equal(image.width, side ? HEIGHT : WIDTH);
        assert_int_equal(image.height, side ? WIDTH : HEIGHT);
        for (int y = 0; y < image.height; y++) {
            for (int x = 0; x < image.width; x++) {
                /* clockwise: what was up is right */
                int from_x = turn == 0     ? x
                             : turn == -90 ? WIDTH - 1 - y
                             : turn == 90  ? y
                                           : WIDTH - 1 - x;
                int from_y = turn == 0     ? y
                             : turn == -90 ? x
                             : turn == 90  ? HEIGHT - 1 - x
                                           : HEIGHT - 1 - y;
                for (int c = 0; c < 3; c++)
                    assert_int_equal(image.pixels[(y * image.width + x) * 3 + c],
                                     pixel(from_x, from_y, 0, c));
            }
        }
        rt_image_free(&image);
        rt_video_close(video);
    }
}

static size_t cut(const char *name, const char *to, double share) {
    static char bytes[1 << 20];
    FILE *file = fopen(path_of(name), "rb");
    assert_non_null(file);
    size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(count < sizeof bytes);
    write_file(path_of(to), bytes, (size_t)(share * (double)count));
    return count;
}

/* A video is whole or refused. */
static void hostile_files(void **state) {
    (void)state;
    char list[600];
    av_log_set_level(AV_LOG_INFO); /* as a program that does not care */
    for (size_t k = 0; k < sizeof lossless / sizeof *lossless; k++) {
        const char *ending = strrchr(lossless[k].name, '.');
        char name[32];
        for (double share = 0.2; share < 0.99; share += 0.1) {
            snprintf(name, sizeof name, "cut%s", ending);
            cut(lossless[k].name, name, share);
            /* Of one that just ends, the last tenth cannot be missed but by asking for it. */
            rt_video_options all = rt_video_defaults();
            if (share > 0.81) all.frames.count = 30;
            ts_err err = {0};
            if (read_all(path_of(name), &all, &err) == TS_STATUS_OK)
                fail_msg("%s cut to %.0f %% is read", name, 100 * share);
            assert_non_null(strstr(err.message, name));
        }
    }
    write_file(path_of("text.mp4"), "This is no video, whatever its name says.\n", 42);
    refused(path_of("text.mp4"), NULL, TS_STATUS_CORRUPT, "no video that can be read");
    write_file(path_of("empty.mkv"), "", 0);
    refused(path_of("empty.mkv"), NULL, TS_STATUS_CORRUPT, "no video that can be read");
    refused(path_of("none.mkv"), NULL, TS_STATUS_NOT_FOUND, "No such file");
    refused("/dev/null", NULL, TS_STATUS_IO, "no regular file");
    assert_int_equal(mkfifo(path_of("pipe.mkv"), 0600), 0);
    refused(path_of("pipe.mkv"), NULL, TS_STATUS_IO, "no regular file");
    recipe zero = {"zero.avi", AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24, paint_rgb, 0, 30, 0, 0, 0, 0};
    make_video(&zero);
    av_log_set_level(AV_LOG_INFO);
    refused(path_of("zero.avi"), NULL, TS_STATUS_INVALID_ARGUMENT, "a video of 0 frames");
    /* What would lead to other files or servers. */
    int bytes = snprintf(list, sizeof list, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n%s\n",
                         path_of("rgb.mkv"));
    write_file(path_of("list.m3u8"), list, (size_t)bytes);
    refused(path_of("list.m3u8"), NULL, TS_STATUS_UNSUPPORTED, "none of those that are read");
    bytes = snprintf(list, sizeof list, "ffconcat version 1.0\nfile rgb.mkv\n");
    write_file(path_of("list.txt"), list, (size_t)bytes);
    refused(path_of("list.txt"), NULL, TS_STATUS_UNSUPPORTED, "none of those that are read");
    rt_video_options limits = rt_video_defaults();
    limits.max_pixels = WIDTH * HEIGHT - 1;
    refused(path_of("rgb.mkv"), &limits, TS_STATUS_UNSUPPORTED,
            "frames of 96 x 64 pixels, more than the limit of 6143");
    limits = rt_video_defaults();
    limits.max_seconds = 0;
    refused(path_of("rgb.mkv"), &limits, TS_STATUS_UNSUPPORTED, "takes more than 0 s");
    limits = rt_video_defaults();
    limits.frames.count = 32;
    refused(path_of("rgb.mkv"), &limits, TS_STATUS_INVALID_ARGUMENT,
            "32 frames wanted of a video of 30");
    assert_int_equal(av_log_get_level(), AV_LOG_INFO); /* as it was */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampled_pixels), cmocka_unit_test(frames_in_order),
        cmocka_unit_test(colours),        cmocka_unit_test(turned),
        cmocka_unit_test(hostile_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

#else

static void says_what_to_install(void **state) {
    (void)state;
    write_file(path_of("a.mp4"), "", 0);
    refused(path_of("a.mp4"), NULL, TS_STATUS_UNSUPPORTED, "install libavformat-dev");
    refused(path_of("a.mp4"), NULL, TS_STATUS_UNSUPPORTED, "folders of frames");
}

/* Counted as skipped: nothing here can read a video. */
static void videos_are_read(void **state) {
    (void)state;
    skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_to_install),
        cmocka_unit_test(videos_are_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
#endif
