/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/cgroup.h"

#include <limits.h>

#include "sample/cgroup-detail.h"
#include "sample/cgroup-parse.h"
#include "unit/tree.h"

#define M (UINT64_C(1) << 20)

enum {
        G = SAMPLE_HAVE_CGROUP,
        L = SAMPLE_HAVE_CGROUP_LIMIT,
        E = SAMPLE_HAVE_CGROUP_EVENTS,
        P = SAMPLE_HAVE_PRESSURE,
};

#define V1(path) "4:memory:" path "\n1:cpu:/x\n0::/\n"

static void test_finds_and_reads(void **state _unused_) {
        static const struct {
                const char *name, *tree, *text;
                pid_t pid;
                int r;
                uint8_t version;
                uint32_t have;
                uint64_t usage, limit, current;
        } cases[] = {
                {"v2, own view, sibling's path", "v2", "0::/../main\n",
                 7, 0, 2, G | L | E | P, 423 * M + 131072, 512 * M, 700 * M},
                {"v2, own view, the host's path", "v2", "0::/kube.slice/pod1/c7\n",
                 7, 0, 2, G | L | E | P, 423 * M + 131072, 512 * M, 700 * M},
                {"v2, own view, at its root", "v2", "0::/\n",
                 7, 0, 2, G | L | E | P, 423 * M + 131072, 512 * M, 700 * M},
                {"v2, another process' view", "v2", "0::/../main\n", 8, -ENOENT, 0, 0, 0, 0, 0},
                {"v2, recorded, sibling's path", "v2-live", "0::/../kept\n",
                 95, 0, 2, G | L | E | P, 19103544, 64 * M, 33124352},
                {"v2, recorded, another process' view", "v2-live", "0::/../kept\n", 7, -ENOENT, 0, 0, 0, 0, 0},
                {"v2, not verified", "v2", "0::/nowhere\n", 0, 0, 2, G | L | E | P, 423 * M + 131072, 512 * M, 700 * M},
                {"v2, not verified, hence not guessed", "v2-host", "0::/x/pod.slice/app.scope\n",
                 0, -ENOENT, 0, 0, 0, 0, 0},
                {"v2, the ancestor's limit rules", "v2-host", "0::/pod.slice/app.scope\n",
                 7, 0, 2, G | L | E | P, 585 * M + 131072, 600 * M, 650 * M},
                {"v2, moved away", "v2-host", "0::/pod.slice/app.scope\n", 99, -ENOENT, 0, 0, 0, 0, 0},
                {"v2, controller not enabled at all", "v2-host", "0::/plain.slice\n", 11, -ENOENT, 0, 0, 0, 0, 0},
                {"v2, controller enabled one above", "v2-host", "0::/outer.slice/leaf\n",
                 12, 0, 2, G | L | E | P, 423 * M + 131072, 2048 * M, 700 * M},
                {"v2, the host's root", "v2-host", "0::/\n", 1, -ENOENT, 0, 0, 0, 0, 0},
                {"v2, systemd inside", "v2-init-scope", "0::/kube/c7/init.scope\n",
                 7, 0, 2, G | L | E | P, 423 * M + 131072, 512 * M, 700 * M},
                {"v2 before 5.18", "v2-old-kernel", "0::/\n", 7, 0, 2, G | L | E, 412 * M + 131072, 512 * M, 700 * M},
                {"v2 before 4.12", "v2-no-shmem", "0::/\n", 7, 0, 2, L | E | P, 0, 0, 0},
                {"v2, nothing but nonsense", "hostile", "0::/\n", 7, 0, 2, 0, 0, 0, 0},
                {"v1, the ancestor's limit rules", "v1",
                 V1("/kube/app"), 7, 0, 1, G | L | E, 720 * M, 800 * M, 790 * M},
                {"v1, the root", "v1", V1("/"), 1, 0, 1, G | L | E, 420 * M, 0, 900 * M},
                {"v1, invisible ancestor", "v1-hidden-ancestor",
                 V1("/kube/app"), 7, 0, 1, G | L | E, 420 * M, 300 * M, 900 * M},
                {"v1, smaller than ours", "v1-hidden-smaller", V1("/a"), 7, 0, 1, G | L | E, 420 * M, 300 * M, 900 * M},
                {"v1, swap allowance used up", "v1-memsw", V1("/a"), 7, 0, 1, G | L | E, 480 * M, 600 * M, 900 * M},
                {"v1, swap allowance left", "v1-memsw-room", V1("/a"), 7, 0, 1, G | L | E, 380 * M, 500 * M, 900 * M},
                {"v1 without swap accounting", "v1-no-swap-accounting",
                 V1("/"), 7, 0, 1, G | L | E, 420 * M, 500 * M, 900 * M},
                {"v1, not hierarchical", "v1-flat", V1("/a"), 7, 0, 1, G | L | E, 420 * M, 500 * M, 900 * M},
                {"v1, two controllers in one", "v1-comounted", "4:cpu,memory:/a\n",
                 7, 0, 1, G | L | E, 420 * M, 500 * M, 900 * M},
                {"hybrid", "hybrid", "4:memory:/app\n0::/svc\n", 7, 0, 1, G | L | E | P, 420 * M, 500 * M, 900 * M},
                {"hybrid, unified root", "hybrid", "4:memory:/\n0::/\n", 1, 0, 1, G | L | E, 420 * M, 0, 900 * M},
                {"no controller", "no-controller", "0::/\n", 7, -ENOENT, 0, 0, 0, 0, 0},
                {"no cgroup", "empty", V1("/a"), 7, -ENOENT, 0, 0, 0, 0, 0},
                {"no text", "v2", "", 7, -ENOENT, 0, 0, 0, 0, 0},
                {"text cut short", "v2", "0::/../ma", 7, -ENOENT, 0, 0, 0, 0, 0},
                {"text of something else", "v2", "memory\n:::\n0:\n0::\nx0::/\n", 7, -ENOENT, 0, 0, 0, 0, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char path[128];
                Cgroup c = CGROUP_NULL;
                CgroupSample s = {0};
                uint32_t have = 0;
                int r;

                snprintf(path, sizeof(path), "cgroup/%s", cases[i].tree);
                _cleanup_fd_ int fd = fixture_open(path);
                r = cgroup_open(fd, cases[i].text, cases[i].pid, &c);
                if (r != cases[i].r || c.version != cases[i].version)
                        fail_msg("%s: open says %d, version %u", cases[i].name, r, c.version);
                if (r < 0)
                        continue;
                assert_int_equal(cgroup_read(&c, &s, &have), 0);
                if (have != cases[i].have || s.usage_bytes != cases[i].usage || s.limit_bytes != cases[i].limit ||
                    s.current_bytes != cases[i].current)
                        fail_msg("%s: have %x, usage %lu, limit %lu, current %lu", cases[i].name, have, s.usage_bytes,
                                 s.limit_bytes, s.current_bytes);
                cgroup_close(&c);
                assert_int_equal(c.dir_fd, -1);
        }
}

static void test_all_fields(void **state _unused_) {
        _cleanup_fd_ int v2_fd = fixture_open("cgroup/v2"), hybrid_fd = fixture_open("cgroup/hybrid");
        Cgroup c = CGROUP_NULL;
        CgroupSample s;
        uint32_t have;

        assert_int_equal(cgroup_open(v2_fd, "0::/\n", 7, &c), 0);
        assert_int_equal(cgroup_read(&c, &s, &have), 0);
        cgroup_close(&c);
        assert_int_equal(s.version, 2);
        assert_int_equal(s.anon_bytes, 400 * M);
        assert_int_equal(s.file_bytes, 192 * M); /* 200 less 8 of shmem */
        assert_int_equal(s.shmem_bytes, 8 * M);
        assert_int_equal(s.kernel_bytes, 15 * M + 131072); /* 20 less 5 of reclaimable slab, and sock */
        assert_int_equal(s.inactive_file_bytes, 100 * M);
        assert_int_equal(s.swap_bytes, 16 * M);
        assert_int_equal(s.high_bytes, 480 * M);
        assert_int_equal(s.events_high, 1);
        assert_int_equal(s.events_max, 2);
        assert_int_equal(s.events_oom, 3);
        assert_int_equal(s.events_oom_kill, 4);
        assert_true(s.pressure_some_avg10_ratio == 0.015);
        assert_true(s.pressure_full_avg10_ratio == 0.0025);

        assert_int_equal(cgroup_open(hybrid_fd, "4:memory:/app\n0::/svc\n", 7, &c), 0);
        assert_int_equal(cgroup_read(&c, &s, &have), 0);
        cgroup_close(&c);
        assert_int_equal(s.version, 1);
        assert_int_equal(s.file_bytes, 292 * M);
        assert_int_equal(s.kernel_bytes, 12 * M);
        assert_int_equal(s.events_max, 17);
        assert_int_equal(s.events_oom_kill, 3);
        assert_true(s.pressure_some_avg10_ratio == 0.02);
}

/* What Linux 6.1 wrote after three reclaims: huge pages that were freed in part are charged, and in no one's "anon". */
static void test_recorded(void **state _unused_) {
        _cleanup_fd_ int fd = fixture_open("cgroup/v2-live");
        Cgroup c = CGROUP_NULL;
        CgroupSample s;
        CgroupDetail d;
        uint32_t have;

        assert_int_equal(cgroup_open(fd, "0::/kept\n", 95, &c), 0);
        assert_int_equal(cgroup_read(&c, &s, &have), 0);
        assert_int_equal(cgroup_detail_read(&c, &d), 0);
        cgroup_close(&c);
        assert_int_equal(s.anon_bytes, 18817024);
        assert_int_equal(s.shmem_bytes, 4096);
        assert_int_equal(s.file_bytes, 0);              /* shmem is in "file" */
        assert_int_equal(s.kernel_bytes, 282624 - 200); /* the whole less reclaimable slab */
        assert_int_equal(s.usage_bytes, s.anon_bytes + s.shmem_bytes + s.kernel_bytes);
        assert_int_equal(s.high_bytes, 0);
        assert_int_equal(s.swap_bytes, 0);
        assert_int_equal(s.events_high, 0);
        assert_int_equal(s.events_max, 1);
        assert_int_equal(s.events_oom, 0);
        assert_int_equal(s.events_oom_kill, 0);
        assert_true(s.pressure_some_avg10_ratio == 0.0018);
        assert_true(s.pressure_full_avg10_ratio == 0.0018);
        assert_int_equal(d.stat.page_tables, 241664);
        assert_int_equal(d.stat.inactive_file, 0);
        assert_int_equal(d.levels_up, 0);
}

static void test_detail(void **state _unused_) {
        _cleanup_fd_ int v2_fd = fixture_open("cgroup/v2"), v1_fd = fixture_open("cgroup/v1");
        const uint32_t parts = CGROUP_STAT_ACTIVE_FILE | CGROUP_STAT_SLAB_RECLAIMABLE | CGROUP_STAT_PAGE_TABLES;
        Cgroup c = CGROUP_NULL;
        CgroupSample s;
        CgroupDetail d;
        uint32_t have;

        assert_int_equal(cgroup_detail_read(&c, &d), -ENODEV);
        assert_int_equal(cgroup_open(v2_fd, "0::/\n", 7, &c), 0);
        assert_int_equal(cgroup_read(&c, &s, &have), 0);
        assert_int_equal(cgroup_detail_read(&c, &d), 0);
        assert_int_equal(d.stat.have & parts, parts);
        assert_int_equal(d.stat.active_file, 96468992);
        assert_int_equal(d.stat.inactive_file, 104857600);
        assert_int_equal(d.stat.page_tables, 2097152);
        assert_int_equal(d.levels_up, 0);
        assert_non_null(strstr(d.path, "cgroup/v2"));
        cgroup_close(&c);

        /* of v1 the kernel's memory is known as one figure, and the group is the ancestor whose limit rules */
        assert_int_equal(cgroup_open(v1_fd, V1("/kube/app"), 7, &c), 0);
        assert_int_equal(cgroup_read(&c, &s, &have), 0);
        assert_int_equal(cgroup_detail_read(&c, &d), 0);
        assert_int_equal(d.stat.have & parts, 0);
        assert_int_equal(d.levels_up, 1);
        assert_non_null(strstr(d.path, "v1/memory/kube"));
        assert_null(strstr(d.path, "app"));
        cgroup_close(&c);
}

static void test_path_shown(void **state _unused_) {
        static const struct {
                unsigned version;
                const char *file, *shown;
        } cases[] = {
                {1, "/sys/fs/cgroup/memory/a/b/memory.stat", "/a/b"},
                {1, "/sys/fs/cgroup/memory/memory.stat", "/"},
                {2, "/sys/fs/cgroup/memory/memory.stat", "/memory"},
                {2, "/sys/fs/cgroup/memory.stat", "/"},
                {2, "/sys/fs/cgrouped/x/memory.stat", "/sys/fs/cgrouped/x"},
                {1, "/memory.stat", "/"},
                {1, "pipe:[4]", ""},
        };
        char shown[CGROUP_PATH_SHOWN], file[600];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                cgroup_path_show(cases[i].file, cases[i].version, shown);
                assert_string_equal(shown, cases[i].shown);
        }
        snprintf(file, sizeof(file), "/%0500d/leaf/memory.stat", 0);
        cgroup_path_show(file, 2, shown);
        assert_int_equal(strlen(shown), CGROUP_PATH_SHOWN - 1);
        assert_string_equal(shown + strlen(shown) - 5, "/leaf");
}

static void test_limit_changes_while_open(void **state _unused_) {
        _cleanup_tree_ Tree t = tree_copy("cgroup/v2-host");
        static const struct {
                const char *own, *above;
                uint64_t limit, usage;
        } steps[] = {
                {"1073741824\n", "629145600\n", 600 * M, 585 * M + 131072},
                {"536870912\n", "629145600\n", 512 * M, 423 * M + 131072}, /* the own one shrinks below */
                {"536870912\n", "536870912\n", 512 * M, 585 * M + 131072}, /* equal: the one with the siblings in it */
                {"max\n", "max\n", 0, 423 * M + 131072},
                {"536870912\n", "max\n", 512 * M, 423 * M + 131072},
                {"0\n", "max\n", 1, 423 * M + 131072},
        };
        Cgroup c = CGROUP_NULL;
        CgroupSample s;
        uint32_t have;

        assert_int_equal(cgroup_open(t.fd, "0::/pod.slice/app.scope\n", 7, &c), 0);
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                tree_write(&t, "pod.slice/app.scope/memory.max", steps[i].own);
                tree_write(&t, "pod.slice/memory.max", steps[i].above);
                assert_int_equal(cgroup_read(&c, &s, &have), 0);
                assert_int_equal(have, G | L | E | P);
                assert_int_equal(s.limit_bytes, steps[i].limit);
                assert_int_equal(s.usage_bytes, steps[i].usage);
        }
        tree_write(&t, "pod.slice/memory.max", "-1\n"); /* one unknown: the smallest is not known */
        assert_int_equal(cgroup_read(&c, &s, &have), 0);
        assert_int_equal(have, G | E | P);
        assert_int_equal(s.limit_bytes, 0);
        cgroup_close(&c);
        assert_int_equal(cgroup_read(&c, &s, &have), -ENODEV);
}

static void test_files_missing(void **state _unused_) {
        static const struct {
                const char *tree, *file, *text;
                int r;
                uint32_t have;
        } cases[] = {
                {"v2", "memory.current", "0::/\n", -ENOENT, 0},
                {"v2", "memory.stat", "0::/\n", -ENOENT, 0},
                {"v2", "cgroup.procs", "0::/\n", -ENOENT, 0},
                {"v2", "memory.max", "0::/\n", 0, G | E | P},
                {"v2", "memory.swap.current", "0::/\n", 0, G | L | E | P},
                {"v2", "memory.high", "0::/\n", 0, G | L | E | P},
                {"v2", "memory.events", "0::/\n", 0, G | L | P},
                {"v2", "memory.pressure", "0::/\n", 0, G | L | E},
                {"v1-memsw/memory", "memory.stat", V1("/"), -ENOENT, 0},
                {"v1-memsw/memory", "memory.kmem.usage_in_bytes", V1("/"), 0, G | L | E},
                {"v1-memsw/memory", "memory.failcnt", V1("/"), 0, G | L},
                {"v1-memsw/memory", "memory.oom_control", V1("/"), 0, G | L},
                {"v1-memsw/memory", "memory.use_hierarchy", V1("/"), 0, G | L | E},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_tree_ Tree t = tree_new();
                bool v1 = cases[i].tree[1] == '1';
                Cgroup c = CGROUP_NULL;
                CgroupSample s;
                uint32_t have = 0;
                int r;

                tree_run(&t, "mkdir -p memory && cp -a %s/cgroup/%s/. %s && rm %s/%s", FIXTURES, cases[i].tree,
                         v1 ? "memory" : ".", v1 ? "memory" : ".", cases[i].file);
                r = cgroup_open(t.fd, cases[i].text, 7, &c);
                if (r != cases[i].r)
                        fail_msg("%s %s: %d", cases[i].tree, cases[i].file, r);
                if (r == 0) {
                        assert_int_equal(cgroup_read(&c, &s, &have), 0);
                        if (have != cases[i].have)
                                fail_msg("%s %s: have %x", cases[i].tree, cases[i].file, have);
                        cgroup_close(&c);
                }
        }
}

/* The tree belongs to the target: links out of it and files that block must not be followed. */
static void test_hostile_tree(void **state _unused_) {
        _cleanup_tree_ Tree t = tree_copy("cgroup/v2"), other = tree_copy("cgroup/v2");
        Cgroup c = CGROUP_NULL;
        CgroupSample s;
        uint32_t have;

        tree_run(&t, "mv memory.max real && ln -s real memory.max && rm memory.events && mkfifo memory.events");
        tree_run(&t, "ln -s %s out", other.path);
        assert_int_equal(cgroup_open(t.fd, "0::/out\n", 7, &c), 0);
        assert_int_equal(cgroup_read(&c, &s, &have), 0);
        assert_int_equal(have, G | P); /* a FIFO has no offset to read from; a link is not the kernel's file */
        cgroup_close(&c);
}

static void test_path(void **state _unused_) {
        static const struct {
                const char *text, *controller, *path, *mount;
                int r;
        } cases[] = {
                {"4:memory:/a/b\n0::/u\n", "memory", "a/b", "memory", 0},
                {"4:memory:/a/b\n0::/u\n", "", "u", "", 0},
                {"0::/../../main/x\n", "", "main/x", "", 0},
                {"0::/..\n", "", "", "", 0},
                {"0::/..a/b\n", "", "..a/b", "", 0},
                {"0::/a/../b\n", "", "", "", -EBADMSG},
                {"0::/a/..\n", "", "", "", -EBADMSG},
                {"0::/a..b/..c\n", "", "a..b/..c", "", 0},
                {"0::relative\n", "", "", "", -EBADMSG},
                {"0::/a:b\n", "", "a:b", "", 0},
                {"5:cpu,memory,pids:/x\n", "memory", "x", "cpu,memory,pids", 0},
                {"5:memoryx,xmemory:/x\n", "memory", "", "", -ENOENT},
                {"0:memory:/x\n", "memory", "", "", -ENOENT}, /* id 0 is the unified hierarchy */
                {"1:name=systemd:/x\n", "name=systemd", "x", "name=systemd", 0},
                {"4:memory:/x", "memory", "", "", -ENOENT},
                {"4:memory\n", "memory", "", "", -ENOENT},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char path[PATH_MAX] = "", mount[NAME_MAX + 1] = "";
                int r = cgroup_path_parse(cases[i].text, cases[i].controller, path, mount);

                if (r != cases[i].r || strcmp(path, cases[i].path) != 0 || strcmp(mount, cases[i].mount) != 0)
                        fail_msg("%s: %d, \"%s\", \"%s\"", cases[i].text, r, path, mount);
        }
}

static void test_path_too_long(void **state _unused_) {
        char text[PATH_MAX + 64], path[PATH_MAX];

        snprintf(text, sizeof(text), "0::/%0*d\n", PATH_MAX - 1, 0);
        assert_int_equal(cgroup_path_parse(text, "", path, NULL), 0);
        assert_int_equal(strlen(path), PATH_MAX - 1);
        snprintf(text, sizeof(text), "0::/%0*d\n", PATH_MAX, 0);
        assert_int_equal(cgroup_path_parse(text, "", path, NULL), -EBADMSG);
        snprintf(text, sizeof(text), "3:memory,%0*d:/x\n", 400, 0);
        assert_int_equal(cgroup_path_parse(text, "memory", path, NULL), -EBADMSG);
}

static void test_limit_texts(void **state _unused_) {
        static const struct {
                const char *text;
                bool ok;
                uint64_t limit;
        } cases[] = {
                {"max\n", true, 0},
                {"4096\n", true, 4096},
                {"9223372036854771712\n", true, 0},  /* PAGE_COUNTER_MAX, 4 KiB pages */
                {"9223372036854710272\n", true, 0},  /* 64 KiB pages */
                {"9223372036854775807\n", true, 0},  /* before 3.19 */
                {"18446744073709551615\n", true, 0},
                {"18446744073709551616\n", false, 0},
                {"-1\n", false, 0},
                {"max", false, 0},
                {"4096", false, 0}, /* cut short? */
                {"", false, 0},
                {"\n", false, 0},
                {"4096 \n", false, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 0;

                if (cgroup_limit_parse(cases[i].text, strlen(cases[i].text), &v) != cases[i].ok || v != cases[i].limit)
                        fail_msg("%s: %lu", cases[i].text, v);
        }
}

static void test_pressure_texts(void **state _unused_) {
        static const struct {
                const char *text;
                bool ok;
        } cases[] = {
                {"some avg10=100.00 avg60=0.00\nfull avg10=0.01 avg60=0.00\n", true},
                {"some avg10=0.00 avg60=0.00\n", false},
                {"some avg10=0.00\nfull avg10=0.0", false},
                {"some avg10=0.00\nfull avg10=0.0\n", false},
                {"some avg10=100.01\nfull avg10=0.00\n", false},
                {"some avg10=-1.00\nfull avg10=0.00\n", false},
                {"some avg10=nan\nfull avg10=0.00\n", false},
                {"some avg60=0.00\nfull avg60=0.00\n", false},
                {"", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                double some = -1, full = -1;
                bool ok = cgroup_pressure_parse(cases[i].text, strlen(cases[i].text), &some, &full);

                if (ok != cases[i].ok)
                        fail_msg("%s", cases[i].text);
                assert_true(ok ? some == 1.0 && full == 0.0001 : some == -1 && full == -1);
        }
}

static void test_kernel_sum(void **state _unused_) {
        static const uint32_t old = CGROUP_STAT_KERNEL_STACK | CGROUP_STAT_SLAB_UNRECLAIMABLE;
        static const uint32_t new = CGROUP_STAT_KERNEL | CGROUP_STAT_SLAB_RECLAIMABLE;
        static const struct {
                const char *name;
                CgroupStat stat;
                bool ok;
                uint64_t bytes;
        } cases[] = {
                {"nothing", {.have = 0}, false, 0},
                {"total", {.have = new, .kernel = 10, .slab_reclaimable = 4, .sock = 1}, true, 7},
                {"not one instant", {.have = new, .kernel = 3, .slab_reclaimable = 4, .sock = 1}, true, 1},
                {"total without the part to take off", {.have = CGROUP_STAT_KERNEL, .kernel = 10}, false, 0},
                {"parts", {.have = old, .kernel_stack = 1, .page_tables = 2, .percpu = 4, .vmalloc = 8,
                           .slab_unreclaimable = 16, .sock = 32}, true, 63},
                {"a sum that does not fit", {.have = old, .kernel_stack = UINT64_MAX, .percpu = 1}, false, 0},
                {"nor this one", {.have = old, .kernel_stack = UINT64_MAX, .sock = 1}, false, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t bytes = 0;
                bool ok = cgroup_stat_kernel(&cases[i].stat, &bytes);

                if (ok != cases[i].ok || (ok && bytes != cases[i].bytes))
                        fail_msg("%s: %d %lu", cases[i].name, ok, bytes);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_finds_and_reads),
                cmocka_unit_test(test_all_fields), cmocka_unit_test(test_recorded), cmocka_unit_test(test_detail),
                cmocka_unit_test(test_path_shown),
                cmocka_unit_test(test_limit_changes_while_open),
                cmocka_unit_test(test_files_missing),
                cmocka_unit_test(test_hostile_tree),
                cmocka_unit_test(test_path),
                cmocka_unit_test(test_path_too_long),
                cmocka_unit_test(test_limit_texts),
                cmocka_unit_test(test_pressure_texts),
                cmocka_unit_test(test_kernel_sum),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
