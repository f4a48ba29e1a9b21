/* SPDX-License-Identifier: Apache-2.0 */
#include "targets/mkleak.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

static const MkTarget targets[] = {
        {"steady", "size_mib= wait=", "holds size_mib (16) of touched heap and sleeps", mk_steady},
        {"leak", "bytes_per_s= block_bytes= limit_mib=",
         "leaks bytes_per_s (1048576) in blocks, up to limit_mib (1024)", mk_leak},
        {"fragment", "size_mib= hole_bytes= live_bytes= keep_every= wait=",
         "single-threaded: size_mib (64) of freed holes (16384) between live blocks (48); of the holes every "
         "keep_every-th (0: none) is kept",
         mk_fragment},
        {"split-heap", "size_mib= hole_bytes= live_bytes= keep_every=",
         "the same with a mapping in brk's way from a quarter on, so that malloc goes on in mappings", mk_split_heap},
        {"fragment-threads", "size_mib= hole_bytes= live_bytes= keep_every= threads= wait= main= tick= tick_alloc=",
         "fragment over threads (4) with an arena each, which then sleep in wait (futex)", mk_fragment_threads},
        {"epoll-eintr", "threads= wait= timeout_ms= main= size_mib= tick=",
         "threads that sleep in wait (all kinds, one each), count EINTR and check every result", mk_epoll_eintr},
        {"allocator-hot", "threads= idle= rest_usec= max_bytes= all= tick=",
         "threads (2) in a malloc/free loop that check what they wrote, with all= (0) also in calloc, realloc and "
         "memalign; idle (1) others in futex",
         mk_allocator_hot},
        {"single-hot", "max_bytes=", "one thread that allocates, frees and looks at stdin", mk_single_hot},
        {"fork-hot", "threads= idle=", "threads (1) that fork and reap in a loop: fork holds every arena lock",
         mk_fork_hot},
        {"deep-stack", "depth= frame_bytes= room_bytes= stack_kib= below_kib=",
         "sleeps below depth (1000) frames with canaries; with room_bytes: on a stack of its own (stack_kib, 64) with "
         "only that much left, above below_kib (0) of somebody else's memory",
         mk_deep_stack},
        {"sigaltstack", "where=",
         "has an alternate signal stack; sleeps on the usual one (where=main), or on the "
         "alternate one in a handler (where=handler)",
         mk_sigaltstack},
        {"fpu", "", "sleeps with known values in every register and in the red zone, and checks them each time",
         mk_fpu},
        {"errno-keeper", "wait= timeout_ms=", "errno must be the same after each sleep", mk_errno_keeper},
        {"mask-keeper", "wait=", "an odd signal mask and a pending signal must be the same after each sleep",
         mk_mask_keeper},
        {"exec-self", "every_ms= generation=", "executes itself again at 'x', or every_ms", mk_exec_self},
        {"vanish", "how= after_ms=", "ends at once: how=exit, kill, or main-thread (a thread lives on)", mk_vanish},
        {"odd-stack", "where=",
         "threads on stacks carved out of one map (where=carved), with no room left (tight), or unknown "
         "to the C library (raw)",
         mk_odd_stack},
        {"unseen", "kinds= every_ms= tick=",
         "a thread for each way to wait, and some that check their registers, fed with numbered messages; 'k' tells "
         "what became of each",
         mk_unseen},
        {"ticker", "size_mib= hole_bytes= live_bytes= keep_every= tick=",
         "a heap as of fragment (size_mib 0) and a thread that ticks each tick (1000000) nsec, and reports the largest "
         "gap",
         mk_ticker},
};

_Noreturn void mk_die(const char *what, int error) {
        dprintf(STDERR_FILENO, "mkleak: %s%s%s\n", what, error ? ": " : "", error ? strerror(abs(error)) : "");
        exit(error == EINVAL ? MK_EXIT_USAGE : 1);
}

uint64_t mk_now_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

const char *mk_arg(const Mk *m, const char *key, const char *fallback) {
        size_t n = strlen(key);

        for (int i = 0; i < m->argc; i++)
                if (strncmp(m->argv[i], key, n) == 0 && m->argv[i][n] == '=')
                        return m->argv[i] + n + 1;
        return fallback;
}

uint64_t mk_arg_u64(const Mk *m, const char *key, uint64_t fallback) {
        const char *s = mk_arg(m, key, NULL);
        char *end;

        if (!s)
                return fallback;
        errno = 0;
        uint64_t v = strtoull(s, &end, 10);
        if (errno || *end || *s < '0' || *s > '9')
                mk_die(key, EINVAL);
        return v;
}

/* key_is_known() - whether "size_mib=64" begins with one of the keys in "size_mib= wait=" */
static bool key_is_known(const char *keys, const char *arg) {
        size_t n = strcspn(arg, "=") + 1;

        for (const char *at = keys; *at; at += strcspn(at, " "), at += strspn(at, " "))
                if (strcspn(at, " ") == n && strncmp(at, arg, n) == 0)
                        return true;
        return false;
}

static void args_check(const Mk *m) {
        for (int i = 0; i < m->argc; i++)
                if (!key_is_known(m->target->keys, m->argv[i]))
                        mk_die(m->argv[i], EINVAL);
}

void mk_bad(Mk *m, const char *note) {
        if (!m->note)
                m->note = note;
        m->n_bad++;
}

/* statm: the second field is resident pages (proc_pid_statm(5)). thread-self, since the leader may be gone: vanish. */
static uint64_t rss_bytes(void) {
        _cleanup_fd_ int fd = open("/proc/thread-self/statm", O_RDONLY | O_CLOEXEC);
        char buf[128] = "";
        char *at;

        if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0 || !(at = strchr(buf, ' ')))
                return 0;
        return strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void status_print(Mk *m) {
        uint64_t eintr = m->stdin_waiter.n_eintr + m->ticker.n_eintr, wakes = 0, timeouts = 0, over = 0, bad = 0;
        bool ok = !m->check || m->check(m);

        if (!ok && !m->note)
                m->note = "the-self-check-of-the-target-failed";

        for (size_t i = 0; i < m->n_waiters; i++) {
                const Waiter *w = m->waiters + i;

                eintr += w->n_eintr;
                wakes += w->n_wakes;
                timeouts += w->n_timeouts;
                bad += w->n_bad;
                over = max_of(over, (uint64_t)w->over_max_nsec);
        }
        bad += m->n_bad;
        dprintf(STDOUT_FILENO,
                "status target=%s ok=%d bad=%llu eintr=%llu wakes=%llu timeouts=%llu over_max_usec=%llu loops=%llu "
                "ticks=%llu gap_max_usec=%llu rss_bytes=%llu",
                m->target->name, ok && !bad, (unsigned long long)bad, (unsigned long long)eintr,
                (unsigned long long)wakes, (unsigned long long)timeouts, (unsigned long long)over / 1000,
                (unsigned long long)m->n_loops, (unsigned long long)m->ticker.n_ticks,
                (unsigned long long)m->ticker.gap_max_nsec / 1000, (unsigned long long)rss_bytes());
#ifdef HAVE_MALLINFO2
        struct mallinfo2 mi = mallinfo2();
        dprintf(STDOUT_FILENO, " arena=%zu uordblks=%zu fordblks=%zu hblkhd=%zu keepcost=%zu", mi.arena, mi.uordblks,
                mi.fordblks, mi.hblkhd, mi.keepcost);
#elif defined(__GLIBC__) /* before 2.33: ints, right below 4 GiB when taken as unsigned */
        struct mallinfo mi = mallinfo();
        dprintf(STDOUT_FILENO, " arena=%u uordblks=%u fordblks=%u hblkhd=%u keepcost=%u", (unsigned)mi.arena,
                (unsigned)mi.uordblks, (unsigned)mi.fordblks, (unsigned)mi.hblkhd, (unsigned)mi.keepcost);
#endif
        dprintf(STDOUT_FILENO, "%s%s\n", m->note ? " note=" : "", m->note ? m->note : "");
}

static void trim_print(void) {
        uint64_t before = rss_bytes(), start = mk_now_nsec();
        int r = malloc_trim(0);
        uint64_t took = mk_now_nsec() - start;

        dprintf(STDOUT_FILENO, "trim returned=%d rss_before_bytes=%llu rss_after_bytes=%llu took_usec=%llu\n", r,
                (unsigned long long)before, (unsigned long long)rss_bytes(), (unsigned long long)took / 1000);
}

static void gaps_reset(Mk *m) {
        for (size_t i = 0; i < m->n_waiters; i++)
                m->waiters[i].over_max_nsec = 0;
        m->ticker.gap_max_nsec = 0;
        dprintf(STDOUT_FILENO, "reset\n");
}

static void wake_print(Mk *m) {
        int n = waiters_wake(m);

        if (n < 0)
                mk_bad(m, "lost-wake-up");
        dprintf(STDOUT_FILENO, "woke n=%d ok=%d\n", n < 0 ? 0 : n, n >= 0);
}

char mk_command(Mk *m) {
        Waiter *w = &m->stdin_waiter;

        for (;;) {
                int r = w->kind->block(w);

                if (r == -EPIPE) /* end of file */
                        return 'q';
                if (r == 0 && w->byte > ' ')
                        return (char)w->byte;
                if (r == -EINTR)
                        w->n_eintr++;
                else if (r < 0)
                        mk_bad(m, "wrong-result-of-the-main-thread");
        }
}

bool mk_handle(Mk *m, char c) {
        if (m->command && m->command(m, c))
                return true;
        switch (c) {
        case '?':
                status_print(m);
                return true;
        case 't':
                trim_print();
                return true;
        case 'r':
                gaps_reset(m);
                return true;
        case 'w':
                wake_print(m);
                return true;
        case 'q':
                return false;
        default:
                dprintf(STDOUT_FILENO, "unknown command\n");
                return true;
        }
}

void mk_ready(Mk *m) {
        dprintf(STDOUT_FILENO, "ready pid=%d target=%s\n", (int)getpid(), m->target->name);
}

int mk_serve(Mk *m) {
        mk_ready(m);
        while (mk_handle(m, mk_command(m)))
                ;
        return 0;
}

static int usage(void) {
        printf("usage: mkleak TARGET [key=value ...]   then on stdin: ? status, w wake, t trim, r reset, q quit\n");
        for (size_t i = 0; i < ELEMENTSOF(targets); i++)
                printf("  %-17s %s\n  %-17s    %s\n", targets[i].name, targets[i].description, "", targets[i].keys);
        printf("wait= is one of:");
        wait_kinds_print();
        return 0;
}

int main(int argc, char **argv) {
        static Mk m; /* too large for a comfortable stack frame, and looked at by signal handlers */

        if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "--list") == 0)
                return usage();
        /* Yama (Linux 3.4) lets only ancestors trace; a test's tracer is a sibling. No Yama: EINVAL, which is fine. */
        (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        for (size_t i = 0; i < ELEMENTSOF(targets); i++)
                if (strcmp(targets[i].name, argv[1]) == 0)
                        m.target = targets + i;
        if (!m.target)
                mk_die(argv[1], EINVAL);
        m.argc = argc - 2;
        m.argv = argv + 2;
        args_check(&m);
        stdin_waiter_init(&m, "read");
        return m.target->make(&m);
}
