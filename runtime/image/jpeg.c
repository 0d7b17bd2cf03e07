/* JPEG by libjpeg-turbo, at its defaults (accurate integer DCT, smooth chroma), which are the
 * reference decoder's. libjpeg fills what a damaged file lacks with grey and warns; here the
 * warnings that mean lost pixels are errors.
 */
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h> /* after jpeglib.h, on whose configuration its numbers depend */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

/* Each scan of a progressive file goes over the whole picture again: 64 KB of empty scans would
 * keep a core busy for hours. Encoders write about ten. */
enum { MAX_SCANS = 200 };

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    decoding *d;
    uint8_t *cmyk; /* one row */
    jmp_buf failed;
    ts_err *err;
    ts_status status;
} reader;

static const int lost_pixels[] = {JWRN_JPEG_EOF, JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE,
                                  JWRN_MUST_RESYNC, JWRN_ARITH_BAD_CODE};

_Noreturn static void fail(reader *r, ts_status status, const char *message) {
    r->status = ts_fail(r->err, status, "%s", message);
    longjmp(r->failed, 1);
}

_Noreturn static void on_error(j_common_ptr jpeg) {
    char message[JMSG_LENGTH_MAX];
    reader *r = jpeg->client_data;
    bool memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
    if (jpeg->err->msg_code == JWRN_JPEG_EOF) fail(r, TS_STATUS_CORRUPT, "the file is cut off");
    jpeg->err->format_message(jpeg, message);
    fail(r, memory ? TS_STATUS_OUT_OF_MEMORY : TS_STATUS_CORRUPT, message);
}

/* Warnings have level -1. */
static void on_message(j_common_ptr jpeg, int level) {
    for (size_t i = 0; level < 0 && i < sizeof lost_pixels / sizeof *lost_pixels; i++) {
        if (jpeg->err->msg_code == lost_pixels[i]) on_error(jpeg);
    }
}

static void on_output(j_common_ptr jpeg) { (void)jpeg; }

static void on_progress(j_common_ptr jpeg) {
    reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number > MAX_SCANS) fail(r, TS_STATUS_CORRUPT, "more than 200 scans");
}

static void read_orientation(reader *r) {
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next) {
        if (m->data_length > 6 && memcmp(m->data, "Exif\0", 6) == 0) {
            r->d->orientation = rt_exif_orientation(m->data, m->data_length);
            return;
        }
    }
}

/* Adobe's CMYK is stored inverted: 255 is no ink. The arithmetic is the reference's: each ink takes
 * its share of what black leaves. */
static void cmyk_to_rgb(const uint8_t *cmyk, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++, cmyk += 4, rgb += 3) {
        unsigned light = cmyk[3];
        for (int c = 0; c < 3; c++) {
            unsigned product = (255u - cmyk[c]) * light + 128;
            unsigned ink = ((product >> 8) + product) >> 8;
            rgb[c] = (uint8_t)(light > ink ? light - ink : 0);
        }
    }
}

/* The frame that errors jump into; what must survive the jump is in *r. */
static ts_status decode(reader *r) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    if (setjmp(r->failed)) return r->status;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &r->progress;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_mem_src(jpeg, r->d->bytes, r->d->size);
    jpeg_read_header(jpeg, TRUE);
    TS_TRY(decoding_check_size(r->d, jpeg->image_width, jpeg->image_height, r->err));
    read_orientation(r);
    bool inks = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    TS_TRY(decoding_allocate(r->d, jpeg->image_width, jpeg->image_height, 3, r->err));
    size_t width = jpeg->image_width;
    if (inks && !(r->cmyk = malloc(4 * width))) fail(r, TS_STATUS_OUT_OF_MEMORY, "one row");
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = r->d->image.pixels + jpeg->output_scanline * 3 * width;
        JSAMPROW target = inks ? r->cmyk : row;
        if (jpeg_read_scanlines(jpeg, &target, 1) == 1 && inks) cmyk_to_rgb(r->cmyk, width, row);
    }
    return TS_STATUS_OK;
}

ts_status rt_jpeg_decode(decoding *d, ts_err *err) {
    reader *r = calloc(1, sizeof *r);
    if (!r) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for the decoder");
    r->d = d;
    r->err = err;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->errors.output_message = on_output;
    r->progress.progress_monitor = on_progress;
    ts_status status = decode(r);
    jpeg_destroy_decompress(&r->jpeg);
    free(r->cmyk);
    free(r);
    return status;
}
