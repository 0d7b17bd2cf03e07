/* Machine code of a cubin: an ELF file whose sections .text.ENTRY hold instructions of 16 bytes, the low
 * nine bits of each its operation. That was found by comparing counts with sources whose operations are
 * known; what a variant of an operation is called (width, rounding) stands in other bits. */
#include "sass.h"

#include <elf.h>
#include <string.h>

enum { MACHINE_CUDA = 190, INSTRUCTION_BYTES = 16, OPERATION = 0x1ff };

const char *const tuner_opcode_names[TUNER_OPCODES] = {
    [TUNER_MUFU] = "mufu", [TUNER_FFMA] = "ffma",   [TUNER_FMUL] = "fmul", [TUNER_FADD] = "fadd",
    [TUNER_LDG] = "ldg",   [TUNER_FMNMX] = "fmnmx", [TUNER_STG] = "stg",   [TUNER_LDS] = "lds",
    [TUNER_STS] = "sts",   [TUNER_LDL] = "ldl",     [TUNER_STL] = "stl",   [TUNER_HMMA] = "hmma",
    [TUNER_SHFL] = "shfl", [TUNER_BAR] = "bar",
};

static const uint16_t operations[TUNER_OPCODES] = {
    [TUNER_MUFU] = 0x108, [TUNER_FFMA] = 0x023,  [TUNER_FMUL] = 0x020, [TUNER_FADD] = 0x021,
    [TUNER_LDG] = 0x181,  [TUNER_FMNMX] = 0x009, [TUNER_STG] = 0x186,  [TUNER_LDS] = 0x184,
    [TUNER_STS] = 0x188,  [TUNER_LDL] = 0x183,   [TUNER_STL] = 0x187,  [TUNER_HMMA] = 0x03c,
    [TUNER_SHFL] = 0x189, [TUNER_BAR] = 0x11d,
};

static void count_code(const unsigned char *code, uint64_t bytes, tuner_sass *out) {
    static const unsigned char nothing[INSTRUCTION_BYTES];
    for (uint64_t at = 0; at + INSTRUCTION_BYTES <= bytes; at += INSTRUCTION_BYTES) {
        uint64_t word;
        memcpy(&word, code + at, sizeof word);
        if (memcmp(code + at, nothing, sizeof nothing) == 0) continue;
        out->instructions++;
        for (int i = 0; i < TUNER_OPCODES; i++)
            if ((word & OPERATION) == operations[i]) out->counts[i]++;
    }
}

/* The n-th section header; false: not inside the file. Headers are copied out, nothing promises their
 * alignment. */
static bool section(const unsigned char *blob, size_t bytes, const Elf64_Ehdr *head, unsigned n,
                    Elf64_Shdr *out) {
    if (head->e_shoff > bytes || n >= head->e_shnum) return false;
    uint64_t at = head->e_shoff + (uint64_t)n * sizeof *out;
    if (at > bytes || bytes - at < sizeof *out) return false;
    memcpy(out, blob + at, sizeof *out);
    return out->sh_type == SHT_NOBITS ||
           (out->sh_offset <= bytes && out->sh_size <= bytes - out->sh_offset);
}

void tuner_sass_count(const void *blob, size_t bytes, tuner_sass *out) {
    Elf64_Ehdr head;
    Elf64_Shdr part;
    *out = (tuner_sass){0};
    if (bytes < sizeof head) return;
    memcpy(&head, blob, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_machine != MACHINE_CUDA || head.e_shentsize != sizeof part)
        return;
    for (unsigned n = 0; n < head.e_shnum; n++)
        if (section(blob, bytes, &head, n, &part) && part.sh_type == SHT_PROGBITS &&
            (part.sh_flags & SHF_EXECINSTR))
            count_code((const unsigned char *)blob + part.sh_offset, part.sh_size, out);
}

void tuner_sass_write(const tuner_sass *sass, ts_buf *out) {
    if (sass->instructions == 0) return;
    ts_buf_printf(out, "\"sass\":{\"instructions\":%lld", (long long)sass->instructions);
    for (int i = 0; i < TUNER_OPCODES; i++)
        if (sass->counts[i])
            ts_buf_printf(out, ",\"%s\":%lld", tuner_opcode_names[i], (long long)sass->counts[i]);
    ts_buf_printf(out, "}");
}
