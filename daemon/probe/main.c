/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "probe/proto.h"
#include "probe/server.h"
#include "util/footprint.h"
#include "util/version.h"

/* plateau-probe is started by plateaud and plateau with a socket as descriptor 3; by hand it only tells its version. */
int main(int argc, char **argv) {
        int type, r;
        socklen_t len = sizeof(type);

        if (argc == 2 && strcmp(argv[1], "--version") == 0) {
                printf("plateau-probe %s, protocol %d\n", plateau_version(), PROBE_PROTO_VERSION);
                return 0;
        }
        if (argc != 1 || getsockopt(PROBE_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
                fprintf(stderr,
                        "plateau-probe: started by plateaud or plateau, not by hand (descriptor %d is no socket of "
                        "theirs)\n",
                        PROBE_FD);
                return 64; /* EX_USAGE */
        }
        /* the terminal's and the service manager's stop signals reach the whole group: what is in hand is finished
         * first, and the closed socket ends us */
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        r = server_harden();
        footprint_shrink();
        if (r == 0)
                r = server_run(PROBE_FD);
        if (r < 0) {
                fprintf(stderr, "plateau-probe: %s\n", strerror(-r));
                return 70; /* EX_SOFTWARE */
        }
        return 0;
}
