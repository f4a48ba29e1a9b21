/* SPDX-License-Identifier: Apache-2.0
 *
 * A JVMTI agent (-agentpath:...=MIB) that leaves a JVM with a native heap full of holes: several arenas, nineteen of
 * twenty blocks freed. What a JVM gets from zip streams or from JNI, in a moment and without a Java compiler.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define BLOCK 16000
#define KEEP_ONE_OF 20

static size_t blocks;
static void **kept; /* so that nobody takes them for lost */

static void *make_holes(void *arg) {
        void **own = kept + (size_t)arg * blocks;

        for (size_t i = 0; i < blocks; i++) {
                own[i] = malloc(BLOCK);
                if (!own[i])
                        abort();
                memset(own[i], 1, BLOCK);
        }
        for (size_t i = 0; i < blocks; i++)
                if (i % KEEP_ONE_OF != 0) {
                        free(own[i]);
                        own[i] = NULL;
                }
        return NULL;
}

__attribute__((__visibility__("default"))) int Agent_OnLoad(void *vm, char *options, void *reserved);

int Agent_OnLoad(void *vm, char *options, void *reserved) {
        pthread_t threads[THREADS];

        (void)vm;
        (void)reserved;
        blocks = (options ? strtoul(options, NULL, 10) : 1) * (1u << 20) / BLOCK / THREADS;
        kept = calloc(THREADS * blocks, sizeof(*kept));
        if (!kept)
                return 1;
        for (size_t i = 0; i < THREADS; i++)
                if (pthread_create(&threads[i], NULL, make_holes, (void *)i) != 0)
                        return 1;
        for (size_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        return 0;
}
