/* Maps a CPU kernel from memory, without the system's dynamic linker and without a file.
 *
 * The objects are compiled so that nothing is left to link (RT_IMAGE_CC_FLAGS).
 *
 * The blob is untrusted text until it is mapped: every offset, size and address is checked against
 * the blob or the mapping before use, and fields are copied out because nothing promises their
 * alignment. Code can do anything once it runs; who may provide it is decided before (kernels.c,
 * file ownership).
 *
 * All is parsed while the mapping is plain writable memory; then each segment gets its own rights,
 * the gaps get none, and nothing is ever writable and executable, not even for a moment.
 */
#include "elf_image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#else
#error "CPU kernels need the ELF machine number of this architecture here"
#endif

#ifndef DT_RELRSZ /* glibc before 2.36 */
#define DT_RELRSZ 35
#endif

enum {
    MAX_SEGMENTS = 8,            /* loadable ones; a kernel has two or three */
    MAX_IMAGE_BYTES = 256 << 20, /* bound for a hostile address range, far above any kernel */
};

typedef struct segment {
    size_t begin, end; /* page-rounded offsets into the mapping */
    size_t data_end;   /* begin of what is only padding */
    uint32_t flags;    /* PF_R, PF_W, PF_X */
} segment;

struct rt_image {
    unsigned char *base; /* address 0 of the object */
    size_t bytes;
    segment segments[MAX_SEGMENTS];
    size_t segment_count;
    size_t symbols, symbol_count; /* .dynsym: offset, entries */
    size_t strings, string_bytes; /* .dynstr */
};

/* Is [offset, offset + bytes) inside [0, total)? */
static bool inside(uint64_t offset, uint64_t bytes, uint64_t total) {
    return offset <= total && bytes <= total - offset;
}

static ts_status corrupt(ts_err *err, const char *what) {
    return ts_fail(err, TS_STATUS_CORRUPT, "CPU kernel object: %s", what);
}

/* ---- what the file says ---- */

static ts_status read_header(const unsigned char *blob, size_t bytes, Elf64_Ehdr *out,
                             ts_err *err) {
    if (bytes < sizeof *out) return corrupt(err, "shorter than an ELF header");
    memcpy(out, blob, sizeof *out);
    if (memcmp(out->e_ident, ELFMAG, SELFMAG) != 0) return corrupt(err, "not an ELF file");
    if (out->e_ident[EI_CLASS] != ELFCLASS64 || out->e_ident[EI_DATA] != ELFDATA2LSB ||
        out->e_ident[EI_VERSION] != EV_CURRENT)
        return corrupt(err, "not a 64-bit little-endian object");
    if (out->e_machine != NATIVE_MACHINE) return corrupt(err, "made for another machine");
    if (out->e_type != ET_DYN) return corrupt(err, "not a shared object");
    if (out->e_phentsize != sizeof(Elf64_Phdr))
        return corrupt(err, "program headers of unknown size");
    if (!inside(out->e_phoff, (uint64_t)out->e_phnum * sizeof(Elf64_Phdr), bytes))
        return corrupt(err, "program headers outside the file");
    return TS_STATUS_OK;
}

static ts_status add_segment(rt_image *image, const Elf64_Phdr *header, size_t file_bytes,
                             size_t page, ts_err *err) {
    if (header->p_memsz == 0 && header->p_filesz == 0) return TS_STATUS_OK;
    if (image->segment_count == MAX_SEGMENTS)
        return corrupt(err, "more segments than a kernel has");
    if (!inside(header->p_vaddr, header->p_memsz, MAX_IMAGE_BYTES))
        return corrupt(err, "segment at an impossible address");
    if (header->p_filesz > header->p_memsz ||
        !inside(header->p_offset, header->p_filesz, file_bytes))
        return corrupt(err, "segment outside the file");
    if ((header->p_flags & PF_W) && (header->p_flags & PF_X))
        return corrupt(err, "segment both writable and executable");
    segment s = {
        .begin = (size_t)header->p_vaddr & ~(page - 1),
        .data_end = (size_t)(header->p_vaddr + header->p_memsz),
        .flags = header->p_flags,
    };
    s.end = (s.data_end + page - 1) & ~(page - 1);
    /* ELF orders segments by address; sharing a page would mix their rights. */
    if (s.begin < image->bytes) return corrupt(err, "segments overlap or share a page");
    image->bytes = s.end;
    image->segments[image->segment_count++] = s;
    return TS_STATUS_OK;
}

/* Fills image->segments and returns the dynamic section's place. */
static ts_status read_segments(rt_image *image, const unsigned char *blob, size_t bytes,
                               const Elf64_Ehdr *header, Elf64_Phdr *dynamic, ts_err *err) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    bool found = false;
    for (size_t i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr ph;
        memcpy(&ph, blob + header->e_phoff + i * sizeof ph, sizeof ph);
        if (ph.p_type == PT_INTERP || ph.p_type == PT_TLS)
            return corrupt(err, "needs an interpreter or thread-local data");
        if (ph.p_type == PT_LOAD) TS_TRY(add_segment(image, &ph, bytes, page, err));
        if (ph.p_type != PT_DYNAMIC) continue;
        *dynamic = ph;
        found = true;
    }
    if (image->segment_count == 0) return corrupt(err, "nothing to load");
    if (!found) return corrupt(err, "no dynamic section");
    return TS_STATUS_OK;
}

static void copy_segments(const rt_image *image, const unsigned char *blob,
                          const Elf64_Ehdr *header) {
    for (size_t i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr ph;
        memcpy(&ph, blob + header->e_phoff + i * sizeof ph, sizeof ph);
        if (ph.p_type == PT_LOAD && ph.p_filesz > 0)
            memcpy(image->base + ph.p_vaddr, blob + ph.p_offset, ph.p_filesz);
    }
}

/* ---- what the dynamic section says; read from the mapping ---- */

typedef struct dynamic_tables {
    uint64_t hash, symtab, strtab, strsz, syment;
} dynamic_tables;

/* Entries whose mere presence (or a value other than 0) means work for a real dynamic linker. */
static const struct refused {
    int64_t tag;
    const char *what;
} refused[] = {
    {DT_RELSZ, "has relocations (a table of pointers?)"},
    {DT_RELASZ, "has relocations (a table of pointers?)"},
    {DT_PLTRELSZ, "has relocations for calls to outside functions"},
    {DT_RELRSZ, "has relative relocations (a table of pointers?)"},
    {DT_TEXTREL, "has relocations in its code"},
    {DT_NEEDED, "needs another library"},
    {DT_INIT, "has an initialiser"},
    {DT_FINI, "has a finaliser"},
    {DT_INIT_ARRAYSZ, "has initialisers"},
    {DT_FINI_ARRAYSZ, "has finalisers"},
    {DT_PREINIT_ARRAYSZ, "has initialisers"},
};

static ts_status read_dynamic(const rt_image *image, const Elf64_Phdr *place, dynamic_tables *out,
                              ts_err *err) {
    if (!inside(place->p_vaddr, place->p_memsz, image->bytes))
        return corrupt(err, "dynamic section outside the segments");
    for (size_t i = 0; i + sizeof(Elf64_Dyn) <= place->p_memsz; i += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        memcpy(&entry, image->base + place->p_vaddr + i, sizeof entry);
        if (entry.d_tag == DT_NULL) break;
        for (size_t r = 0; r < sizeof refused / sizeof refused[0]; r++)
            /* DT_TEXTREL carries no value and DT_NEEDED may name offset 0: for them presence
             * counts. */
            if (entry.d_tag == refused[r].tag &&
                (entry.d_un.d_val || entry.d_tag == DT_TEXTREL || entry.d_tag == DT_NEEDED))
                return corrupt(err, refused[r].what);
        if (entry.d_tag == DT_HASH) out->hash = entry.d_un.d_ptr;
        if (entry.d_tag == DT_SYMTAB) out->symtab = entry.d_un.d_ptr;
        if (entry.d_tag == DT_STRTAB) out->strtab = entry.d_un.d_ptr;
        if (entry.d_tag == DT_STRSZ) out->strsz = entry.d_un.d_val;
        if (entry.d_tag == DT_SYMENT) out->syment = entry.d_un.d_val;
    }
    if (!out->hash || !out->symtab || !out->strtab)
        return corrupt(err, "no symbol table with a sysv hash (link with -Wl,--hash-style=sysv)");
    if (out->syment != sizeof(Elf64_Sym)) return corrupt(err, "symbols of unknown size");
    return TS_STATUS_OK;
}

static Elf64_Sym symbol_at(const rt_image *image, size_t index) {
    Elf64_Sym symbol;
    memcpy(&symbol, image->base + image->symbols + index * sizeof symbol, sizeof symbol);
    return symbol;
}

static bool executable_at(const rt_image *image, uint64_t address) {
    for (size_t i = 0; i < image->segment_count; i++) {
        const segment *s = &image->segments[i];
        if (address >= s->begin && address < s->data_end) return s->flags & PF_X;
    }
    return false;
}

/* Is [offset, offset + bytes) in one segment that stays readable? Symbols are looked up after the
 * mapping got its rights. */
static bool readable(const rt_image *image, uint64_t offset, uint64_t bytes) {
    for (size_t i = 0; i < image->segment_count; i++) {
        const segment *s = &image->segments[i];
        if ((s->flags & PF_R) && offset >= s->begin && inside(offset, bytes, s->data_end))
            return true;
    }
    return false;
}

static ts_status read_symbols(rt_image *image, const dynamic_tables *tables, ts_err *err) {
    uint32_t hash_head[2]; /* buckets, chains: as many chains as symbols */
    if (!readable(image, tables->hash, sizeof hash_head))
        return corrupt(err, "symbol hash outside the segments");
    memcpy(hash_head, image->base + tables->hash, sizeof hash_head);
    uint64_t symbol_bytes = (uint64_t)hash_head[1] * sizeof(Elf64_Sym);
    if (!readable(image, tables->symtab, symbol_bytes) ||
        !readable(image, tables->strtab, tables->strsz))
        return corrupt(err, "symbol table outside the segments");
    image->symbols = (size_t)tables->symtab;
    image->symbol_count = hash_head[1];
    image->strings = (size_t)tables->strtab;
    image->string_bytes = (size_t)tables->strsz;
    if (image->string_bytes == 0 || image->base[image->strings + image->string_bytes - 1] != '\0')
        return corrupt(err, "symbol names without an end");

    for (size_t i = 1; i < image->symbol_count; i++) {
        Elf64_Sym symbol = symbol_at(image, i);
        if (symbol.st_name >= image->string_bytes)
            return corrupt(err, "symbol name outside its table");
        const char *name = (const char *)image->base + image->strings + symbol.st_name;
        if (symbol.st_shndx == SHN_UNDEF)
            return ts_fail(
                err, TS_STATUS_CORRUPT,
                "CPU kernel object: calls %.64s, which is not in it (kernels are self-contained)",
                name);
        if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && !executable_at(image, symbol.st_value))
            return ts_fail(err, TS_STATUS_CORRUPT,
                           "CPU kernel object: function %.64s is not in its code", name);
    }
    return TS_STATUS_OK;
}

/* ---- mapping ---- */

static ts_status protect(const rt_image *image, ts_err *err) {
    bool failed = mprotect(image->base, image->bytes, PROT_NONE) != 0;
    for (size_t i = 0; i < image->segment_count; i++) {
        const segment *s = &image->segments[i];
        int rights = (s->flags & (PF_R | PF_X) ? PROT_READ : 0) |
                     (s->flags & PF_W ? PROT_WRITE : 0) | (s->flags & PF_X ? PROT_EXEC : 0);
        char *begin = (char *)image->base + s->begin, *end = (char *)image->base + s->end;
        failed = failed || mprotect(begin, s->end - s->begin, rights) != 0;
        /* Machines with separate instruction caches must be told; an empty operation on x86. */
        if (!failed && (s->flags & PF_X)) __builtin___clear_cache(begin, end);
    }
    if (failed)
        return ts_fail(
            err, TS_STATUS_DEVICE,
            "the system refuses executable memory, which CPU kernels need (SELinux, seccomp?)");
    return TS_STATUS_OK;
}

ts_status rt_image_load(const void *blob, size_t bytes, rt_image **out, ts_err *err) {
    Elf64_Ehdr header;
    Elf64_Phdr dynamic = {0};
    dynamic_tables tables = {0};
    TS_TRY(read_header(blob, bytes, &header, err));
    rt_image *image = calloc(1, sizeof *image);
    if (!image) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a kernel image");
    ts_status status = read_segments(image, blob, bytes, &header, &dynamic, err);
    if (status != TS_STATUS_OK) goto done;

    void *memory = mmap(NULL, image->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0);
    if (memory == MAP_FAILED) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a kernel of %zu bytes",
                         image->bytes);
        goto done;
    }
    image->base = memory;
    copy_segments(image, blob, &header);
    status = read_dynamic(image, &dynamic, &tables, err);
    if (status == TS_STATUS_OK) status = read_symbols(image, &tables, err);
    if (status == TS_STATUS_OK) status = protect(image, err);
done:
    if (status == TS_STATUS_OK)
        *out = image;
    else
        rt_image_unload(image);
    return status;
}

void rt_image_unload(rt_image *image) {
    if (!image) return;
    if (image->base) munmap(image->base, image->bytes);
    free(image);
}

void *rt_image_function(const rt_image *image, const char *name) {
    for (size_t i = 1; i < image->symbol_count; i++) {
        Elf64_Sym symbol = symbol_at(image, i);
        if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
            strcmp((const char *)image->base + image->strings + symbol.st_name, name) == 0)
            return image->base + symbol.st_value;
    }
    return NULL;
}
