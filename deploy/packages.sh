# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a machine needs, in one place: sourced by tests/run and deploy/demo, not run by itself.
#
# An entry is "[?]CAPABILITY=PACKAGE[,PACKAGE...]". The capability is what is looked for, so that nothing is asked of a
# package manager when all is there and so that it works on any distribution; the packages are Debian's and Ubuntu's
# names for it, of which the first that the archive knows is taken. A leading "?": worth having, done without if absent.
#
#   cmd:NAME   a program in PATH or in a system directory     pc:NAME   a pkg-config module
#   so:NAME    a shared library that the loader knows         py:NAME   a module of /usr/bin/python3
#   hdr:NAME   a header below /usr/include            file:GLOB a file that is in no such directory
#
# libcurl and libmicrohttpd are opened at run time; their -dev packages bring the libraries too.

PLATEAU_BUILD_DEPS=(
        cmd:gcc=gcc
        cmd:meson=meson
        cmd:ninja=ninja-build
        cmd:pkg-config=pkg-config,pkgconf
        hdr:stdio.h=libc6-dev
        pc:libsystemd=libsystemd-dev
        pc:yaml-0.1=libyaml-dev
        pc:libelf=libelf-dev
        pc:libcap-ng=libcap-ng-dev
        pc:libseccomp=libseccomp-dev
        pc:libcurl=libcurl4-openssl-dev
        pc:libmicrohttpd=libmicrohttpd-dev
)

PLATEAU_TEST_DEPS=(
        pc:cmocka=libcmocka-dev
        pc:jansson=libjansson-dev
        cmd:python3=python3
        py:websockets=python3-websockets
        cmd:ps=procps
        '?py:yaml=python3-yaml'
        '?py:jsonschema=python3-jsonschema'
        '?cmd:ctags=universal-ctags'
        '?cmd:dbus-daemon=dbus-daemon,dbus'
        '?cmd:prometheus-pushgateway=prometheus-pushgateway'
        '?cmd:promtool=prometheus'
        '?py:prometheus_client=python3-prometheus-client'
        '?so:libjemalloc.so=libjemalloc2'
        '?so:libtcmalloc_minimal.so=libtcmalloc-minimal4t64,libtcmalloc-minimal4'
        '?cmd:java=default-jre-headless'
        '?so:libmimalloc.so=libmimalloc2.0,libmimalloc3,libmimalloc-dev'
        '?hdr:jemalloc/jemalloc.h=libjemalloc-dev'
        '?hdr:gperftools/tcmalloc.h=libgoogle-perftools-dev'
        '?cmd:musl-gcc=musl-tools'
        '?cmd:mmdebstrap=mmdebstrap'
)

# tests/run --programs: what tests/programs calls into. Packages of services would run theirs from the next boot on, so
# nobody gets them unasked; compilers (Go, Rust) are used where they are.
PLATEAU_PROGRAM_DEPS=(
        '?cmd:redis-server=redis-server'
        '?cmd:nginx=nginx-light,nginx'
        '?file:/usr/lib/postgresql/*/bin/postgres=postgresql'
        '?cmd:mariadbd=mariadb-server-core,mariadb-server-core-10.6'
        '?cmd:memcached=memcached'
        '?cmd:mosquitto=mosquitto'
        '?file:/usr/sbin/php-fpm[0-9]*=php-fpm'
        '?cmd:node=nodejs'
        '?cmd:javac=default-jdk-headless'
        '?cmd:ruby=ruby'
        '?cmd:perl=perl'
        '?cmd:pypy3=pypy3'
)

# tests/run --e2e. Go is used where it is.
PLATEAU_E2E_DEPS=(
        '?cmd:openssl=openssl'
        '?cmd:unshare=util-linux'
)

# tests/run --containers: podman, and a machine with cgroup v2.
PLATEAU_CONTAINER_DEPS=(
        '?cmd:podman=podman'
        '?cmd:buildah=buildah'
        '?cmd:runc=runc'
        '?cmd:conmon=conmon'
        '?file:/usr/lib/podman/netavark=netavark'
        '?file:/usr/libexec/podman/catatonit=catatonit'
        '?cmd:mmdebstrap=mmdebstrap'
        '?cmd:qemu-system-x86_64=qemu-system-x86'
        '?cmd:cpio=cpio'
        '?cmd:busybox=busybox-static'
)

# deploy/demo: the build's, and these.
PLATEAU_DEMO_DEPS=(
        cmd:python3=python3
        py:websockets=python3-websockets
        cmd:ps=procps
        cmd:prometheus-pushgateway=prometheus-pushgateway
        so:libjemalloc.so=libjemalloc2
)

# tests/bench: what plateau is measured beside.
PLATEAU_BENCH_DEPS=(
        cmd:python3=python3
        '?cmd:gdb=gdb'
        '?cmd:earlyoom=earlyoom'
        '?cmd:monit=monit'
        '?cmd:prometheus-process-exporter=prometheus-process-exporter'
)

# packages_has CAPABILITY - is it there?
packages_has() {
        local kind=${1%%:*} name=${1#*:}
        case $kind in
        cmd) PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$name" >/dev/null ;;
        pc) command -v pkg-config >/dev/null && pkg-config --exists "$name" ;;
        py) [ -x /usr/bin/python3 ] && /usr/bin/python3 -c "import $name" 2>/dev/null ;;
        hdr) [ -e "/usr/include/$name" ] ;;
        file) compgen -G "$name" >/dev/null ;;
        so) packages_library "$name" >/dev/null ;;
        *) return 2 ;;
        esac
}

# packages_library NAME - path of a shared library whose file name begins with NAME.
packages_library() {
        local path
        path=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null |
                awk -v name="$1" 'index($1, name) == 1 && !found { print $NF; found = 1 }')
        [ -n "$path" ] && printf '%s\n' "$path"
}

# packages_missing ENTRY... - one entry a line for each that is not there.
packages_missing() {
        local entry capability
        for entry in "$@"; do
                capability=${entry#\?}
                packages_has "${capability%%=*}" || printf '%s\n' "$entry"
        done
}

# packages_pick NAME,NAME... - the first name that the archive can install.
packages_pick() {
        local name said IFS=,
        for name in $1; do
                said=$(LC_ALL=C apt-cache policy "$name" 2>/dev/null) || continue
                if [[ $said == *"  Candidate: "[!\(]* ]]; then
                        printf '%s\n' "$name"
                        return 0
                fi
        done
        return 1
}

# packages_can_install - root, and apt.
packages_can_install() {
        [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

# packages_install ENTRY... - by apt, without recommended packages and without starting the services they bring: we want
# their programs, not an earlyoom that watches this machine from now on.
packages_install() (
        set -eu
        export DEBIAN_FRONTEND=noninteractive
        packages=()
        apt-get update -q
        for entry in "$@"; do
                names=${entry#*=}
                if name=$(packages_pick "$names"); then
                        packages+=("$name")
                else
                        echo "packages: the archive has none of: $names" >&2
                        case $entry in \?*) ;; *) exit 1 ;; esac
                fi
        done
        [ ${#packages[@]} -gt 0 ] || exit 0
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
                trap 'rm -f $policy' EXIT
                printf '#!/bin/sh\nexit 101\n' >$policy # "forbidden by policy", see invoke-rc.d(8)
                chmod 755 $policy
        fi
        apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 "${packages[@]}"
)

# packages_need ENTRY... - install what is missing, or say what is. PACKAGES_INSTALL=no never installs.
# Return: 0 when all is there but what is marked "?".
packages_need() {
        local -a missing=()
        local entry r=0
        mapfile -t missing < <(packages_missing "$@")
        [ ${#missing[@]} -gt 0 ] || return 0
        if [ "${PACKAGES_INSTALL:-yes}" != no ] && packages_can_install; then
                packages_install "${missing[@]}" || echo "packages: apt-get failed" >&2
                mapfile -t missing < <(packages_missing "${missing[@]}")
        fi
        for entry in "${missing[@]}"; do
                case $entry in
                \?*) echo "packages: not installed, done without: ${entry#*=}" >&2 ;;
                *)
                        echo "packages: missing: ${entry#*=} (${entry%%=*})" >&2
                        r=1
                        ;;
                esac
        done
        return $r
}
