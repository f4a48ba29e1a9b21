/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/calls.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "kube/fields.h"
#include "kube/path.h"
#include "util/clock.h"

#define READ_RETRIES     2u
#define READ_USEC        (5 * USEC_PER_SEC)
#define READ_TOTAL_USEC  (25 * USEC_PER_SEC)
#define WRITE_USEC       (5 * USEC_PER_SEC)
#define WRITE_TOTAL_USEC (7 * USEC_PER_SEC)
/* The server itself tries for 10 s (20 times 500 ms, eviction.go) before it answers. */
#define EVICT_USEC       (15 * USEC_PER_SEC)
#define EVICT_TOTAL_USEC (17 * USEC_PER_SEC)
#define OBJECT_MAX       ((size_t)2 << 20) /* etcd takes no request above 1.5 MiB, unless told so */
#define PAGE_MAX         ((size_t)4 << 20)
#define PAGE_PODS        50u /* of 5 to 20 kB each */
#define PAGES_MAX        500u /* a list has an end */
#define PATH_SIZE        2000
#define GRACE_MAX_S      (7 * 24 * 3600)

#define CORE      "/api/v1/namespaces"
#define APPS      "/apis/apps/v1/namespaces"
#define EVENTS    "/apis/events.k8s.io/v1/namespaces"
#define REVIEWS   "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

typedef void (*TellFn)(const KubeCall *call, KubeAnswer *a);

/* Whom a call is for: one of these, as its tell function knows. */
typedef union Done {
        KubeDoneFn plain;
        KubePodFn pod;
        KubeReplicaSetFn set;
        KubeDeploymentFn deployment;
        KubeAccessFn access;
} Done;

struct KubeCall {
        KubeClient *client;
        KubeRequest *request;
        TellFn tell;
        Done done;
        void *userdata;
        /* of lists */
        void (*page)(KubeCall *call, const json_t *item);
        KubePodEachFn each;
        unsigned n_pages;
        uint64_t deadline_usec;
        char path[PATH_SIZE]; /* of the first page */
};

KubeCall *kube_call_cancel(KubeCall *call) {
        if (call && call->request)
                kube_request_cancel(call->request); /* drops the call */
        else
                free(call);
        return NULL;
}

/* ---- what came ---- */

/* Fine as HTTP, but not what was asked for. */
static void spoil(KubeAnswer *a, const char *kind) {
        a->error = KUBE_E_ANSWER;
        snprintf(a->why, sizeof(a->why), "the API server's answer is no %s with a name and uid", kind);
}

KubePodLens kube_pod_lens(const KubeClient *c) {
        const KubeConfig *config = kube_client_config(c);

        return (KubePodLens){.main = config->container, .alive_port = config->port, .gate = config->gate};
}

static void tell_plain(const KubeCall *call, KubeAnswer *a) {
        call->done.plain(call->userdata, a);
}

static void tell_pod(const KubeCall *call, KubeAnswer *a) {
        KubePodLens lens = kube_pod_lens(call->client);
        KubePod pod;

        if (a->error == KUBE_OK && (!kube_object_is(a->body, "Pod") || kube_pod_decode(a->body, &lens, &pod) < 0))
                spoil(a, "Pod");
        call->done.pod(call->userdata, a, a->error == KUBE_OK ? &pod : NULL);
}

static void tell_set(const KubeCall *call, KubeAnswer *a) {
        KubeReplicaSet set;

        if (a->error == KUBE_OK &&
            (!kube_object_is(a->body, "ReplicaSet") || kube_replicaset_decode(a->body, &set) < 0))
                spoil(a, "ReplicaSet");
        call->done.set(call->userdata, a, a->error == KUBE_OK ? &set : NULL);
}

static void tell_deployment(const KubeCall *call, KubeAnswer *a) {
        KubeDeployment d;

        if (a->error == KUBE_OK && (!kube_object_is(a->body, "Deployment") || kube_deployment_decode(a->body, &d) < 0))
                spoil(a, "Deployment");
        call->done.deployment(call->userdata, a, a->error == KUBE_OK ? &d : NULL);
}

static void tell_access(const KubeCall *call, KubeAnswer *a) {
        KubeAccess access = {0};

        if (a->error == KUBE_OK) {
                access = kube_access_decode(a->body);
                if (!access.known)
                        spoil(a, "SelfSubjectAccessReview");
        }
        call->done.access(call->userdata, a, access);
}

/* Frees the memory last: the callback may free the client, but knows nothing of the call any more. */
static void on_answer(void *userdata, const KubeAnswer *answer) {
        KubeCall *call = userdata;
        KubeAnswer a = *answer;

        call->request = NULL;
        call->tell(call, &a);
        free(call);
}

/* ---- what goes ---- */

static bool is_uid(const char *s) {
        size_t n = strlen(s);

        return n > 0 && n < KUBE_UID_MAX && strspn(s, "0123456789abcdefABCDEF-") == n;
}

static int call_new(KubeClient *c, TellFn tell, Done done, void *userdata, KubeCall **ret) {
        KubeCall *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        call->client = c;
        call->tell = tell;
        call->done = done;
        call->userdata = userdata;
        *ret = call;
        return 0;
}

/* "PREFIX/NAMESPACE/RESOURCE/NAME/SUBRESOURCE": the last two may be "". */
static int path_make(const KubeClient *c, char path[static PATH_SIZE], const char *prefix, const char *resource,
                     const char *name, const char *subresource) {
        const char *namespace_ = kube_client_config(c)->namespace_;
        int n;

        if (!kube_is_name(namespace_) || (*name && !kube_is_name(name)))
                return -EINVAL;
        n = snprintf(path, PATH_SIZE, "%s/%s/%s%s%s%s%s", prefix, namespace_, resource, *name ? "/" : "", name,
                     *subresource ? "/" : "", subresource);
        return n < PATH_SIZE ? 0 : -EINVAL;
}

typedef struct Send {
        const char *method, *prefix, *resource, *name, *subresource, *content_type;
        const json_t *body;
        uint64_t timeout_usec, total_usec; /* 0 = those of reading or writing */
        bool dry_run;
} Send;

/* Takes the call over, also when it fails. */
static int call_send(KubeCall *call, const Send *s, KubeCall **ret) {
        bool reads = strcmp(s->method, "GET") == 0;
        uint64_t usec = s->timeout_usec ? s->timeout_usec : reads ? READ_USEC : WRITE_USEC;
        uint64_t total = s->total_usec ? s->total_usec : reads ? READ_TOTAL_USEC : WRITE_TOTAL_USEC;
        KubeSpec spec = {.method = s->method,
                         .path = call->path,
                         .content_type = s->content_type,
                         .body = s->body,
                         .timeout_usec = usec,
                         .retries_max = reads ? READ_RETRIES : 0,
                         .deadline_usec = now_boot_usec() + total,
                         .dropped = free,
                         .body_max = OBJECT_MAX};
        int r = s->prefix ? path_make(call->client, call->path, s->prefix, s->resource, s->name ? s->name : "",
                                      s->subresource ? s->subresource : "")
                : snprintf(call->path, sizeof(call->path), "%s", s->resource) < 0 ? -EINVAL
                                                                                  : 0;

        if (r == 0 && s->dry_run)
                snprintf(call->path + strlen(call->path), sizeof(call->path) - strlen(call->path), "?dryRun=All");
        if (r == 0)
                r = kube_request(call->client, &spec, on_answer, call, &call->request);
        if (r < 0) {
                kube_call_cancel(call);
                return r;
        }
        if (ret)
                *ret = call;
        return 0;
}

static int send_new(KubeClient *c, const Send *s, TellFn tell, Done done, void *userdata, KubeCall **ret) {
        KubeCall *call;
        int r;

        if (s->name && !*s->name)
                return -EINVAL; /* would be the whole collection */
        r = call_new(c, tell, done, userdata, &call);
        return r < 0 ? r : call_send(call, s, ret);
}

/* ---- pages of a list ---- */

static int page_send(KubeCall *call, const char *token);

static void on_page(void *userdata, const KubeAnswer *answer) {
        KubeCall *call = userdata;
        KubeAnswer a = *answer;
        const json_t *items = kube_field(a.body, "items");
        const char *token = kube_field_str(a.body, "metadata continue");
        size_t n = json_array_size(items);

        call->request = NULL;
        if (a.error == KUBE_OK && !json_is_array(items))
                spoil(&a, "list");
        for (size_t i = 0; a.error == KUBE_OK && i < n; i++)
                call->page(call, json_array_get(items, i));
        if (a.error == KUBE_OK && *token) {
                if (++call->n_pages < PAGES_MAX && page_send(call, token) == 0)
                        return;
                a.error = KUBE_E_ANSWER;
                snprintf(a.why, sizeof(a.why), "the API server's list does not end after %u pages", call->n_pages);
        }
        call->tell(call, &a);
        free(call);
}

static int page_send(KubeCall *call, const char *token) {
        char path[2 * PATH_SIZE];
        KubeSpec spec = {.method = "GET",
                         .path = path,
                         .timeout_usec = READ_USEC,
                         .retries_max = READ_RETRIES,
                         .deadline_usec = call->deadline_usec,
                         .dropped = free,
                         .body_max = PAGE_MAX};

        snprintf(path, sizeof(path), "%s%s", call->path, *token ? "&continue=" : "");
        if (!kube_path_append(path, PATH_SIZE, token))
                return -EINVAL;
        return kube_request(call->client, &spec, on_page, call, &call->request);
}

static int list_send(KubeCall *call, const char *prefix, const char *resource, unsigned limit, const char *selector,
                     KubeCall **ret) {
        int r = path_make(call->client, call->path, prefix, resource, "", "");
        size_t n = strlen(call->path);

        call->deadline_usec = now_boot_usec() + READ_TOTAL_USEC;
        snprintf(call->path + n, sizeof(call->path) - n, "?limit=%u%s", limit, selector ? "&labelSelector=" : "");
        if (r == 0 && selector && !kube_path_append(call->path, sizeof(call->path) / 2, selector))
                r = -EINVAL;
        if (r == 0)
                r = page_send(call, "");
        if (r < 0) {
                kube_call_cancel(call);
                return r;
        }
        if (ret)
                *ret = call;
        return 0;
}

static void page_pod(KubeCall *call, const json_t *item) {
        KubePodLens lens = kube_pod_lens(call->client);
        KubePod pod;

        if (kube_pod_decode(item, &lens, &pod) == 0)
                call->each(call->userdata, &pod);
}

int kube_pods_list(KubeClient *c, const char *selector, KubePodEachFn each, KubeDoneFn done, void *userdata,
                   KubeCall **ret) {
        KubeCall *call;
        int r = call_new(c, tell_plain, (Done){.plain = done}, userdata, &call);

        if (r < 0)
                return r;
        call->page = page_pod;
        call->each = each;
        return list_send(call, CORE, "pods", PAGE_PODS, selector, ret);
}

/* ---- single objects ---- */

int kube_pod_get(KubeClient *c, const char *name, KubePodFn done, void *userdata, KubeCall **ret) {
        const Send s = {.method = "GET", .prefix = CORE, .resource = "pods", .name = name};

        return send_new(c, &s, tell_pod, (Done){.pod = done}, userdata, ret);
}

int kube_replicaset_get(KubeClient *c, const char *name, KubeReplicaSetFn done, void *userdata, KubeCall **ret) {
        const Send s = {.method = "GET", .prefix = APPS, .resource = "replicasets", .name = name};

        return send_new(c, &s, tell_set, (Done){.set = done}, userdata, ret);
}

int kube_deployment_get(KubeClient *c, const char *name, KubeDeploymentFn done, void *userdata, KubeCall **ret) {
        const Send s = {.method = "GET", .prefix = APPS, .resource = "deployments", .name = name};

        return send_new(c, &s, tell_deployment, (Done){.deployment = done}, userdata, ret);
}

static int pod_patch(KubeClient *c, const char *name, const char *subresource, KubePatch type, const json_t *patch,
                     KubePodFn done, void *userdata, KubeCall **ret) {
        static const char *const types[_KUBE_PATCH_MAX] = {
                [KUBE_PATCH_JSON] = "application/json-patch+json",
                [KUBE_PATCH_MERGE] = "application/merge-patch+json",
                [KUBE_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
        };
        const Send s = {.method = "PATCH",
                        .prefix = CORE,
                        .resource = "pods",
                        .name = name,
                        .subresource = subresource,
                        .content_type = (unsigned)type < _KUBE_PATCH_MAX ? types[type] : "",
                        .body = patch};

        return send_new(c, &s, tell_pod, (Done){.pod = done}, userdata, ret);
}

int kube_pod_patch(KubeClient *c, const char *name, KubePatch type, const json_t *patch, KubePodFn done, void *userdata,
                   KubeCall **ret) {
        return pod_patch(c, name, "", type, patch, done, userdata, ret);
}

int kube_pod_status_patch(KubeClient *c, const char *name, KubePatch type, const json_t *patch, KubePodFn done,
                          void *userdata, KubeCall **ret) {
        return pod_patch(c, name, "status", type, patch, done, userdata, ret);
}

int kube_pod_resize(KubeClient *c, const char *name, const json_t *patch, KubePodFn done, void *userdata,
                    KubeCall **ret) {
        return pod_patch(c, name, "resize", KUBE_PATCH_STRATEGIC, patch, done, userdata, ret);
}

/* DeleteOptions. Return: NULL when out of memory. Owner: caller. */
static json_t *delete_options(const char *uid, int64_t grace_s) {
        json_t *o = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "DeleteOptions", "preconditions",
                              "uid", uid);

        if (o && grace_s > 0 && json_object_set_new(o, "gracePeriodSeconds", json_integer(grace_s)) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}

static bool is_grace(int64_t s) {
        return s == -1 || (s > 0 && s <= GRACE_MAX_S);
}

int kube_pod_evict(KubeClient *c, const char *name, const char *uid, int64_t grace_s, bool dry_run, KubeDoneFn done,
                   void *userdata, KubeCall **ret) {
        Send s = {.method = "POST",
                  .prefix = CORE,
                  .resource = "pods",
                  .name = name,
                  .subresource = "eviction",
                  .timeout_usec = EVICT_USEC,
                  .total_usec = EVICT_TOTAL_USEC,
                  .dry_run = dry_run};
        json_t *options, *body;
        int r;

        if (!is_uid(uid) || !kube_is_name(name) || !is_grace(grace_s))
                return -EINVAL;
        options = delete_options(uid, grace_s);
        /* dryRun in the query and in the options must agree (eviction.go): so both, or none */
        if (options && dry_run && json_object_set_new(options, "dryRun", json_pack("[s]", "All")) < 0) {
                json_decref(options);
                options = NULL;
        }
        body = options ? json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", "policy/v1", "kind", "Eviction",
                                   "metadata", "name", name, "namespace", kube_client_config(c)->namespace_,
                                   "deleteOptions", options)
                       : NULL;
        if (!body)
                return -ENOMEM;
        s.body = body;
        r = send_new(c, &s, tell_plain, (Done){.plain = done}, userdata, ret);
        json_decref(body);
        return r;
}

int kube_pod_delete(KubeClient *c, const char *name, const char *uid, int64_t grace_s, KubeDoneFn done, void *userdata,
                    KubeCall **ret) {
        Send s = {.method = "DELETE", .prefix = CORE, .resource = "pods", .name = name};
        json_t *body;
        int r;

        if (!is_uid(uid) || !is_grace(grace_s))
                return -EINVAL;
        body = delete_options(uid, grace_s);
        if (!body)
                return -ENOMEM;
        s.body = body;
        r = send_new(c, &s, tell_plain, (Done){.plain = done}, userdata, ret);
        json_decref(body);
        return r;
}

int kube_event_create(KubeClient *c, const json_t *event, KubeDoneFn done, void *userdata, KubeCall **ret) {
        const Send s = {.method = "POST", .prefix = EVENTS, .resource = "events", .body = event};

        return send_new(c, &s, tell_plain, (Done){.plain = done}, userdata, ret);
}

int kube_event_patch(KubeClient *c, const char *name, const json_t *patch, KubeDoneFn done, void *userdata,
                     KubeCall **ret) {
        const Send s = {.method = "PATCH",
                        .prefix = EVENTS,
                        .resource = "events",
                        .name = name,
                        .content_type = "application/merge-patch+json",
                        .body = patch};

        return send_new(c, &s, tell_plain, (Done){.plain = done}, userdata, ret);
}

int kube_access(KubeClient *c, const char *verb, const char *group, const char *resource, const char *subresource,
                const char *name, KubeAccessFn done, void *userdata, KubeCall **ret) {
        Send s = {.method = "POST", .resource = REVIEWS};
        json_t *body = json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s, s:s*, s:s*}}}", "apiVersion",
                                 "authorization.k8s.io/v1", "kind", "SelfSubjectAccessReview", "spec",
                                 "resourceAttributes", "namespace", kube_client_config(c)->namespace_, "verb", verb,
                                 "group", group, "resource", resource, "subresource", subresource, "name", name);
        int r;

        if (!body)
                return -ENOMEM;
        s.body = body;
        r = send_new(c, &s, tell_access, (Done){.access = done}, userdata, ret);
        json_decref(body);
        return r;
}
