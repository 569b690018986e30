/* What glibc makes of a library: one line for each path on standard input. Each is loaded in
   a process of its own, since it may end it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *entry = "_1as_0lib_1header_0root_bmodule_bloader";
static ElfW(Addr) base;

static void hex(const char *name, const unsigned char *bytes, size_t len)
{
    printf(" %s=", name);
    for (size_t i = 0; i < len; i++) printf("%02x", bytes[i]);
}

/* Prints every note of ours, by the program headers that glibc keeps. */
static int notes(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size; (void)unused;
    if (info->dlpi_addr != base) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *head = &info->dlpi_phdr[i];
        if (head->p_type != PT_NOTE) continue;
        size_t align = head->p_align == 8 ? 8 : 4;
        const unsigned char *at = (const void *)(base + head->p_vaddr), *end = at + head->p_memsz;
        while (at + 12 <= end) {
            unsigned word[3];
            memcpy(word, at, 12);
            size_t start = (12 + (size_t)word[0] + align - 1) & -align;
            size_t next = (start + word[1] + align - 1) & -align;
            if (word[0] == 9 && word[2] == 1 && at + start + word[1] <= end
                && memcmp(at + 12, "Keystead", 9) == 0)
                hex("note", at + start, word[1]);
            if (next > (size_t)(end - at)) break;
            at += next;
        }
    }
    return 1;
}

static void look(const char *path)
{
    void *known = dlopen(NULL, RTLD_NOW);
    struct link_map *last = NULL, *map = NULL;
    dlinfo(known, RTLD_DI_LINKMAP, &last);
    while (last->l_next) last = last->l_next;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        printf("refused %s\n", dlerror());
        return;
    }
    dlinfo(library, RTLD_DI_LINKMAP, &map);
    base = map->l_addr;
    printf("loaded");
    const char *names = NULL;
    for (ElfW(Dyn) *at = map->l_ld; at->d_tag != DT_NULL; at++)
        if (at->d_tag == DT_STRTAB) names = (const char *)at->d_un.d_ptr;
    if ((ElfW(Addr))names < base) names += base;
    for (ElfW(Dyn) *at = map->l_ld; at->d_tag != DT_NULL; at++)
        if (at->d_tag == DT_NEEDED || at->d_tag == DT_FILTER || at->d_tag == DT_AUXILIARY)
            printf(" needed=%s", names + at->d_un.d_val);
    for (struct link_map *new = last->l_next; new; new = new->l_next)
        if (new != map) printf(" also=%s", new->l_name);
    const unsigned char *found = dlsym(library, entry);
    if (found) {
        printf(" address=%lx", (unsigned long)((ElfW(Addr))found - base));
        hex("entry", found, 40);
    }
    dl_iterate_phdr(notes, NULL);
    printf("\n");
}

int main(void)
{
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            struct rlimit none = {0, 0}, seconds = {20, 20};
            setrlimit(RLIMIT_CORE, &none);
            setrlimit(RLIMIT_CPU, &seconds);
            look(path);
            fflush(stdout);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) printf("signal %d\n", WTERMSIG(status));
    }
    return 0;
}
