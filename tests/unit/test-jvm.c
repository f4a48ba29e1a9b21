/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking a JVM that is played by a child of this program: it has a file called libjvm.so mapped, listens where a JVM
 * does, and answers as its name says. It is a stand-in because a real JVM does not misbehave; tests/integration has the
 * real one. A SIGQUIT would end it, and the test with it.
 */
#include "action/jvm.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "action/jvm-event.h"
#include "sample/stat.h"
#include "unit/folder.h"
#include "unit/unit.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define DEADLINE_USEC (30 * USEC_PER_SEC)

static char dir[] = "/tmp/plateau-jvm-XXXXXX";

typedef struct Fake {
        pid_t pid;
        int word_fd; /* one byte from the test lets it go on */
        JvmRequest request;
        char path[64];
} Fake;

/* ---- the JVM's side ---- */

static void socket_name(struct sockaddr_un *name, const char *path) {
        *name = (struct sockaddr_un){.sun_family = AF_UNIX};
        snprintf(name->sun_path, sizeof(name->sun_path), "%s", path);
}

static int listen_at(const char *path) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un name;

        socket_name(&name, path);
        unlink(path); /* of one long dead that had our number: a JVM that is killed leaves its own */
        if (bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, 5) < 0)
                _exit(4);
        return fd;
}

static void map_libjvm(void) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "%s/libjvm.so", dir);
        fd = open(path, O_RDONLY);
        if (fd < 0 || mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
                _exit(5);
        fd_close(fd);
}

static void put(int fd, const char *text, size_t n) {
        (void)send(fd, text, n, MSG_NOSIGNAL);
}

static void wait_for_word(int word_fd) {
        char c;

        if (read(word_fd, &c, 1) != 1)
                _exit(0);
}

static void answer(const char *as, int fd, int word_fd) {
        static char big[65536];
        static const char good[] = "0\nTrim native heap: RSS+Swap: 9M->8M (-1M)\n";
        char request[64];

        if (strcmp(as, "hangs up") == 0)
                return; /* unread: the other side gets ECONNRESET */
        while (read(fd, request, sizeof(request)) > 0)
                continue; /* to the end of it, which is shown */
        memset(big, '0', sizeof(big));
        if (strcmp(as, "endless") == 0)
                while (send(fd, big, sizeof(big), MSG_NOSIGNAL) > 0)
                        continue;
        else if (strcmp(as, "huge") == 0)
                put(fd, big, sizeof(big));
        else if (strcmp(as, "no newline") == 0)
                put(fd, "0", 1);
        else if (strcmp(as, "unknown") == 0)
                put(fd, "-1\njava.lang.IllegalArgumentException: Unknown diagnostic command\n", 66);
        else if (strcmp(as, "cut") == 0)
                put(fd, good, 10);
        else if (strcmp(as, "dribbles") == 0)
                for (size_t i = 0; i < sizeof(good) - 1; i++)
                        put(fd, good + i, 1);
        else if (strcmp(as, "dies") == 0)
                _exit(0);
        else if (strcmp(as, "tells") == 0)
                put(fd, "0\nDefNew\n", 9);
        else if (strcmp(as, "tells all") == 0) {
                put(fd, "0\n", 2);
                put(fd, big, JVM_WIRE_TEXT_MAX - 3);
        } else if (strcmp(as, "tells nothing") == 0)
                put(fd, "0\n", 2);
        else {
                if (strcmp(as, "late") == 0)
                        wait_for_word(word_fd);
                put(fd, good, sizeof(good) - 1);
        }
}

_Noreturn static void play(const char *as, int ready_fd, int word_fd) {
        char path[64];
        int listener;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGQUIT, SIG_DFL);
        map_libjvm();
        snprintf(path, sizeof(path), "/tmp/.java_pid%d", (int)getpid());
        listener = strcmp(as, "asleep") == 0 ? -1 : listen_at(path);
        fd_close(ready_fd);
        while (listener >= 0) {
                int fd = accept(listener, NULL, NULL);

                answer(as, fd, word_fd);
                fd_close(fd);
        }
        for (;;)
                pause();
}

/* ---- the test's side ---- */

static void fake_start(Fake *f, const char *as) {
        _cleanup_fd_ int proc_fd = rootfs_open_dir(AT_FDCWD, "/proc");
        int ready[2], word[2];
        char stat[32], c;
        ProcStat st;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        assert_int_equal(pipe2(word, O_CLOEXEC), 0);
        *f = (Fake){.pid = fork(), .word_fd = word[1]};
        assert_true(f->pid >= 0);
        if (f->pid == 0) {
                fd_close(ready[0]);
                fd_close(word[1]);
                play(as, ready[1], word[0]);
        }
        fd_close(ready[1]);
        fd_close(word[0]);
        assert_int_equal(read(ready[0], &c, 1), 0);
        fd_close(ready[0]);
        snprintf(stat, sizeof(stat), "%d/stat", (int)f->pid);
        assert_int_equal(stat_read(proc_fd, stat, &st), 0);
        assert_true(st.state != 'Z'); /* it could not bind, or map: /tmp is mounted noexec? */
        snprintf(f->path, sizeof(f->path), "/tmp/.java_pid%d", (int)f->pid);
        f->request = (JvmRequest){
                .pid = f->pid,
                .start_ticks = st.start_ticks,
                .attach_usec = DEADLINE_USEC,
                .finish_usec = DEADLINE_USEC,
        };
}

static void fake_end(Fake *f) {
        int status;

        kill(f->pid, SIGKILL);
        assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
        assert_false(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
        fd_close(f->word_fd);
        (void)unlink(f->path);
}

static void assert_reply(const JvmReply *r, JvmResult result, const char *why) {
        if (r->result != (uint32_t)result || !strstr(r->why, why))
                print_message("# %u: %s\n", r->result, r->why);
        assert_int_equal(r->result, result);
        assert_non_null(strstr(r->why, why));
        assert_int_equal(r->woken, 0);
}

static void test_answers(void **state _unused_) {
        static const struct {
                const char *as;
                JvmResult result;
                const char *why;
        } cases[] = {
                {"good", JVM_DONE, ""},
                {"dribbles", JVM_DONE, ""},
                {"hangs up", JVM_CANNOT, "hung up without an answer"},
                {"endless", JVM_CANNOT, "no JVM's answer"},
                {"huge", JVM_CANNOT, "no JVM's answer"},
                {"no newline", JVM_CANNOT, "no JVM's answer"},
                {"cut", JVM_CANNOT, "no JVM's answer"},
                {"unknown", JVM_CANNOT, "too old for System.trim_native_heap"},
                {"dies", JVM_CANNOT, "hung up without an answer"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                JvmReply r;
                Fake f;

                fake_start(&f, cases[i].as);
                jvm_call(&f.request, &r);
                assert_reply(&r, cases[i].result, cases[i].why);
                if (r.result == JVM_DONE) {
                        assert_true(r.rss_before_bytes > 0 && r.rss_after_bytes > 0);
                        assert_true(r.total_usec >= r.duration_usec);
                }
                fake_end(&f);
        }
}

static void test_questions(void **state _unused_) {
        static const struct {
                const char *as;
                size_t n;
                JvmResult result;
                const char *why;
        } cases[] = {
                {"tells", 7, JVM_DONE, ""},
                {"tells all", JVM_WIRE_TEXT_MAX - 3, JVM_DONE, ""},
                {"tells nothing", 0, JVM_CANNOT, "answered with nothing"},
                {"unknown", 0, JVM_CANNOT, "too old for that question"},
                {"endless", 0, JVM_CANNOT, "no JVM's answer"},
                {"dies", 0, JVM_CANNOT, "hung up without an answer"},
        };
        static char text[JVM_WIRE_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                JvmReply r;
                Fake f;

                fake_start(&f, cases[i].as);
                f.request.command = JVM_HEAP_INFO;
                assert_int_equal(jvm_ask(&f.request, text, &r), cases[i].n);
                assert_reply(&r, cases[i].result, cases[i].why);
                if (i == 0)
                        assert_memory_equal(text, "DefNew\n", 7);
                fake_end(&f);
        }
}

/* The lock goes a moment after the answer that was too late. */
static void call_until_free(const JvmRequest *q, JvmReply *r) {
        uint64_t end = now_mono_usec() + DEADLINE_USEC;

        do {
                assert_true(now_mono_usec() < end);
                jvm_call(q, r);
        } while (r->result == JVM_IN_FLIGHT);
}

/* Whoever asked last still waits for its answer: nobody asks again until then, and then it can be asked again. */
static void test_too_late(void **state _unused_) {
        JvmReply r;
        Fake f;

        fake_start(&f, "late");
        f.request.finish_usec = 50 * USEC_PER_MSEC;
        jvm_call(&f.request, &r);
        assert_reply(&r, JVM_TIMEOUT, "not finished the trim in its time");
        assert_int_equal(r.rss_after_bytes, 0);
        for (int i = 0; i < 3; i++) {
                jvm_call(&f.request, &r);
                assert_reply(&r, JVM_IN_FLIGHT, "has not finished yet");
        }
        assert_int_equal(write(f.word_fd, "xx", 2), 2); /* for it and for the next */
        f.request.finish_usec = DEADLINE_USEC;
        call_until_free(&f.request, &r);
        assert_reply(&r, JVM_DONE, "");
        fake_end(&f);
}

/* It has the file mapped, but it is no JVM: it must not be woken, and the fake would die of it. */
static void test_no_signal(void **state _unused_) {
        char trigger[64];
        JvmReply r;
        Fake f;

        fake_start(&f, "asleep");
        jvm_call(&f.request, &r);
        assert_reply(&r, JVM_CANNOT, "does not handle SIGQUIT");
        snprintf(trigger, sizeof(trigger), "/proc/%d/cwd/.attach_pid%d", (int)f.pid, (int)f.pid);
        assert_int_equal(access(trigger, F_OK), -1);
        assert_int_equal(waitpid(f.pid, NULL, WNOHANG), 0);
        fake_end(&f);
}

static void test_something_in_its_place(void **state _unused_) {
        static const char *const whys[] = {"no socket", "no socket", "another process", "no socket"};
        Fake f, other;
        JvmReply r;

        fake_start(&other, "good");
        for (size_t i = 0; i < ELEMENTSOF(whys); i++) {
                int listener = -1;

                fake_start(&f, "asleep");
                if (i == 0)
                        assert_int_equal(symlink(other.path, f.path), 0);
                else if (i == 1)
                        assert_int_equal(mknod(f.path, S_IFREG | 0600, 0), 0);
                else if (i == 2)
                        listener = listen_at(f.path);
                else
                        assert_int_equal(mkfifo(f.path, 0600), 0);
                jvm_call(&f.request, &r);
                assert_reply(&r, JVM_CANNOT, whys[i]);
                fd_close(listener);
                fake_end(&f);
        }
        fake_end(&other);
}

static void test_others(void **state _unused_) {
        JvmReply r;
        Fake f;

        fake_start(&f, "good");
        f.request.start_ticks++; /* the number is another's by now */
        jvm_call(&f.request, &r);
        assert_reply(&r, JVM_NOT_ONE, "has ended");
        f.request.start_ticks--;
        kill(f.pid, SIGSTOP);
        assert_int_equal(waitpid(f.pid, NULL, WUNTRACED), f.pid);
        jvm_call(&f.request, &r);
        assert_reply(&r, JVM_CANNOT, "it is stopped");
        fake_end(&f);
        jvm_call(&f.request, &r);
        assert_reply(&r, JVM_NOT_ONE, "has ended");
}

static void test_no_jvm(void **state _unused_) {
        _cleanup_fd_ int proc_fd = rootfs_open_dir(AT_FDCWD, "/proc");
        JvmRequest q = {.pid = getpid(), .attach_usec = DEADLINE_USEC, .finish_usec = DEADLINE_USEC};
        ProbeReply probe = {.result = 99};
        JvmReply r;
        ProcStat st;

        assert_int_equal(stat_read(proc_fd, "self/stat", &st), 0);
        q.start_ticks = st.start_ticks;
        jvm_call(&q, &r);
        assert_reply(&r, JVM_NOT_ONE, "");
        assert_false(jvm_to_probe(&r, &probe));
        assert_int_equal(probe.result, 99);
}

typedef struct Loop {
        unsigned n_replies;
        JvmReply reply;
} Loop;

static void on_reply(void *userdata, const JvmReply *r) {
        Loop *l = userdata;

        l->n_replies++;
        l->reply = *r;
}

static void test_on_a_loop(void **state _unused_) {
        ProbeReply probe;
        sd_event *event;
        JvmEvent *j;
        Loop l = {0};
        Fake f;

        assert_true(sd_event_new(&event) >= 0);
        fake_start(&f, "good");
        assert_int_equal(jvm_event_new(event, &f.request, on_reply, &l, &j), 0);
        while (!l.n_replies)
                assert_true(sd_event_run(event, DEADLINE_USEC) > 0);
        assert_reply(&l.reply, JVM_DONE, "");
        jvm_event_free(j);
        assert_true(jvm_to_probe(&l.reply, &probe));
        assert_int_equal(probe.result, PROBE_OK);
        assert_int_equal(probe.trim.rss_before_bytes, l.reply.rss_before_bytes);
        assert_int_equal(probe.trim.call.thread, PROBE_THREAD_OWN);
        assert_int_equal(probe.trim.call.stop_usec, 0);
        assert_string_equal(probe.trim.call.name, JVM_CALL_NAME);

        /* given up in mid-call: no word comes any more */
        assert_int_equal(jvm_event_new(event, &f.request, on_reply, &l, &j), 0);
        jvm_event_free(j);
        jvm_event_free(NULL);
        assert_true(sd_event_run(event, 0) >= 0);
        assert_int_equal(l.n_replies, 1);
        sd_event_unref(event);
        fake_end(&f);
}

static int make_dir(void **state _unused_) {
        char path[64];
        int fd;

        if (folder_make(dir) < 0)
                return -1;
        snprintf(path, sizeof(path), "%s/libjvm.so", dir);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        return fd < 0 || ftruncate(fd, 4096) < 0 ? -1 : fd_close(fd) + 1;
}

static int remove_dir(void **state _unused_) {
        return folder_remove(dir);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_questions),
                cmocka_unit_test(test_too_late),
                cmocka_unit_test(test_no_signal),
                cmocka_unit_test(test_something_in_its_place),
                cmocka_unit_test(test_others),
                cmocka_unit_test(test_no_jvm),
                cmocka_unit_test(test_on_a_loop),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
