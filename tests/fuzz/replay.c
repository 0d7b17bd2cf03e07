/* Instead of libFuzzer: feeds each file of the folders named on the command line to the target. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    size_t inputs = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **entries = NULL;
        int count = scandir(argv[i], &entries, NULL, alphasort);
        if (count < 0) return perror(argv[i]), 1;
        for (int k = 0; k < count; k++) {
            char path[4096];
            ts_buf input = {0};
            ts_err err;
            snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
            if (entries[k]->d_name[0] != '.') {
                fprintf(stderr, "%s\n", path);
                if (ts_file_read(path, &input, &err) != TS_STATUS_OK)
                    return fprintf(stderr, "%s\n", err.message), 1;
                LLVMFuzzerTestOneInput((const uint8_t *)input.data, input.bytes);
                inputs++;
            }
            ts_buf_free(&input);
            free(entries[k]);
        }
        free(entries);
    }
    printf("%zu inputs\n", inputs);
    return inputs == 0;
}
