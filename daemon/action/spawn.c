/* SPDX-License-Identifier: Apache-2.0 */
#include "action/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "util/clock.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ABANDONED_POLL_USEC (100 * USEC_PER_MSEC)
#define ABANDONED_MAX_USEC (60 * USEC_PER_SEC) /* not even SIGKILL ends a process that waits for a dead disk */
#define CHILD_ERROR_FD 3
#define CLOSE_MAX 65536 /* without close_range(): how far to go when the limit on descriptors is higher */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

static int can_execute(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOTDIR ? -ENOENT : -errno;
        return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int spawn_find(const char *name, char ret[static PATH_MAX]) {
        const char *dirs = getenv("PATH");
        char path[PATH_MAX];
        int found = -ENOENT;

        if (strchr(name, '/')) {
                int r = strlen(name) < PATH_MAX ? can_execute(name) : -ENAMETOOLONG;

                if (r == 0)
                        strcpy(ret, name);
                return r;
        }
        if (!*name)
                return -ENOENT;
        if (!dirs || !*dirs)
                dirs = DEFAULT_PATH;
        for (const char *end; *dirs; dirs = *end ? end + 1 : end) {
                size_t n;

                end = strchrnul(dirs, ':');
                n = (size_t)(end - dirs);
                if (n == 0 || n + 1 + strlen(name) >= sizeof(path)) /* "" is the working directory: not for a daemon */
                        continue;
                snprintf(path, sizeof(path), "%.*s/%s", (int)n, dirs, name);
                int r = can_execute(path);
                if (r == 0) {
                        strcpy(ret, path);
                        return 0;
                }
                if (r == -EACCES)
                        found = r;
        }
        return found;
}

/* In the child. oom_score_adj is inherited, and raising it is always allowed (Linux 2.6.36). */
static void drop_oom_protection(void) {
        int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
        char sign = 0;

        if (fd >= 0 && read(fd, &sign, 1) == 1 && sign == '-' && pwrite(fd, "0", 1, 0) != 1)
                errno = 0; /* it runs all the same */
        fd_close(fd);
}

void spawn_close_from(int first) {
        struct rlimit limit;
        unsigned max = CLOSE_MAX;

        if (close_range((unsigned)first, ~0U, 0) == 0) /* Linux 5.9 */
                return;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < max)
                max = (unsigned)limit.rlim_cur;
        for (unsigned fd = (unsigned)first; fd < max; fd++)
                close((int)fd);
}

/* In the child: the pipes may have got any number, also 0-3; out of the way with them first. */
static bool place_descriptors(int stdin_fd, int output_fd, int error_fd) {
        int in = fcntl(stdin_fd, F_DUPFD, CHILD_ERROR_FD + 1);
        int out = fcntl(output_fd, F_DUPFD, CHILD_ERROR_FD + 1);
        int error = fcntl(error_fd, F_DUPFD, CHILD_ERROR_FD + 1);

        return in >= 0 && out >= 0 && error >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
               dup2(out, STDERR_FILENO) >= 0 && dup3(error, CHILD_ERROR_FD, O_CLOEXEC) >= 0;
}

/* Only calls that are safe after fork() of a process with threads. */
_Noreturn static void run_child(const char *path, char *const argv[], char *const env[], const int fds[static 3]) {
        sigset_t none;
        int error;

        setpgid(0, 0);
        /* execve() resets a handler, but not an ignored signal; before unblocking: no handler of ours runs here */
        for (int sig = 1; sig < _NSIG; sig++)
                signal(sig, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        drop_oom_protection();
        if (!place_descriptors(fds[0], fds[1], fds[2]))
                _exit(127);
        spawn_close_from(CHILD_ERROR_FD + 1);
        execve(path, argv, env);
        error = errno;
        if (write(CHILD_ERROR_FD, &error, sizeof(error)) != (ssize_t)sizeof(error))
                _exit(126);
        _exit(127);
}

int spawn_start(const char *path, char *const argv[], char *const env[], int stdin_fd, Spawned *ret) {
        Spawned s = SPAWNED_NULL;
        int output[2] = {-1, -1}, error[2] = {-1, -1}, r = 0;
        sigset_t all, before;

        if (pipe2(output, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0 ||
            fcntl(output[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(error[0], F_SETFL, O_NONBLOCK) < 0)
                r = -errno;
        if (r == 0) {
                sigfillset(&all);
                pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours in the child */
                s.pid = fork();
                if (s.pid == 0)
                        run_child(path, argv, env, (const int[]){stdin_fd, output[1], error[1]});
                if (s.pid < 0)
                        r = -errno;
                else
                        setpgid(s.pid, s.pid); /* both do it: whoever signals the group first finds it */
                pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
        fd_close(output[1]);
        fd_close(error[1]);
        if (r < 0) {
                fd_close(output[0]);
                fd_close(error[0]);
                return r;
        }
        s.pid_fd = (int)syscall(SYS_pidfd_open, s.pid, 0); /* Linux 5.3, always close-on-exec */
        s.output_fd = output[0];
        s.error_fd = error[0];
        *ret = s;
        return 0;
}

void spawn_done(Spawned *s) {
        s->pid_fd = fd_close(s->pid_fd);
        s->output_fd = fd_close(s->output_fd);
        s->error_fd = fd_close(s->error_fd);
}

int spawn_exec_error(const Spawned *s) {
        int error = 0;

        return read(s->error_fd, &error, sizeof(error)) == (ssize_t)sizeof(error) && error > 0 ? -error : 0;
}

void spawn_kill(pid_t pid, int sig) {
        if (pid > 1 && kill(-pid, sig) < 0)
                kill(pid, sig);
}

typedef struct Abandoned {
        pid_t pid;
        bool killed;
        uint64_t begin_usec, kill_usec, max_usec;
} Abandoned;

static bool is_over(const Abandoned *a) {
        siginfo_t info = {0};
        int r = waitid(P_PID, (id_t)a->pid, &info, WEXITED | WNOHANG);

        return (r < 0 && errno != EINTR) || (r == 0 && info.si_pid == a->pid) ||
               now_mono_usec() - a->begin_usec > a->max_usec;
}

static int on_abandoned(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        Abandoned *a = userdata;
        int r;

        if (is_over(a)) {
                sd_event_source_set_enabled(source, SD_EVENT_OFF);
                return sd_event_source_set_floating(source, false); /* gives the loop's reference back: freed */
        }
        if (!a->killed && now_mono_usec() - a->begin_usec >= a->kill_usec) {
                a->killed = true;
                spawn_kill(a->pid, SIGKILL);
        }
        r = sd_event_source_set_time_relative(source, ABANDONED_POLL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int watch_end(sd_event *event, pid_t pid, uint64_t kill_usec, uint64_t max_usec) {
        sd_event_source *source = NULL;
        Abandoned *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Abandoned){.pid = pid, .begin_usec = now_mono_usec(), .kill_usec = kill_usec, .max_usec = max_usec};
        r = sd_event_add_time_relative(event, &source, CLOCK_MONOTONIC, 0, 0, on_abandoned, a);
        if (r < 0) {
                free(a);
                return r;
        }
        (void)sd_event_source_set_description(source, "abandoned-child");
        (void)sd_event_source_set_destroy_callback(source, free);
        (void)sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        return 0;
}

int spawn_abandon(sd_event *event, pid_t pid, uint64_t kill_usec) {
        spawn_kill(pid, SIGTERM);
        return watch_end(event, pid, kill_usec, ABANDONED_MAX_USEC);
}

int spawn_forget(sd_event *event, pid_t pid, uint64_t max_usec) {
        return watch_end(event, pid, USEC_INFINITY, max_usec);
}

int spawn_text_fd(const char *text) {
        _cleanup_fd_ int fd = memfd_create("plateau-evidence", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        size_t len = strlen(text), done = 0;

        if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
                fd = memfd_create("plateau-evidence", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        while (done < len) {
                ssize_t n = pwrite(fd, text + done, len - done, (off_t)done);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        done += (size_t)n;
        }
        return take_fd(&fd);
}
