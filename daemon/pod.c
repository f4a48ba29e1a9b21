/* SPDX-License-Identifier: Apache-2.0 */
#include "pod.h"

#include <stdlib.h>
#include <string.h>

#include "report/document.h"
#include "util/clock.h"
#include "util/log.h"
#include "watch.h"

#define FORECAST_LOOK_USEC USEC_PER_MINUTE /* kube/ keeps the real interval; this is what writing the JSON may cost */
#define FORECAST_MAX       1024

struct Pod {
        sd_event *event;
        PodChangedFn changed;
        void *userdata;
        Kube *kube;
        ReportPlace place; /* by the environment */
        KubeView kube_view;
        PodView view;
        PodRequest requests[KUBE_REQUESTS_MAX];
        const char *told_state; /* static, of kube/ */
        bool told_api, api_known;
        uint64_t forecast_next_usec;
        Buf forecast; /* reused */
};

/* ---- what it is told ---- */

static bool is_needier(const KubeNeed *a, const KubeNeed *b) {
        if (a->rotate != b->rotate)
                return a->rotate;
        return a->eta_lo_usec < b->eta_lo_usec;
}

static void tell_forecast(Pod *p, const Watch *w, uint64_t now_usec);

/* Of all targets: it is the pod that is rotated. The forecast that is told is that of the neediest. */
void pod_tick(Pod *p, Watch *const *watches, unsigned n, uint64_t now_usec) {
        KubeNeed worst = {.eta_lo_usec = USEC_INFINITY}, need;
        const Watch *of = n > 0 ? watches[0] : NULL;

        if (!p->kube)
                return;
        for (unsigned i = 0; i < n; i++) {
                watch_need(watches[i], now_usec, &need);
                if (i > 0 && !is_needier(&need, &worst))
                        continue;
                worst = need;
                of = watches[i];
        }
        kube_mind(p->kube, &worst, now_usec);
        if (of && now_usec >= p->forecast_next_usec)
                tell_forecast(p, of, now_usec);
}

/* ---- what changed ---- */

static void refresh(Pod *p) {
        if (p->kube)
                kube_view(p->kube, &p->kube_view);
        else
                p->kube_view = (KubeView){0};
}

static bool is_state(const char *state, const char *const *names) {
        for (; *names; names++)
                if (strcmp(state, *names) == 0)
                        return true;
        return false;
}

bool pod_is_rotating(const Pod *p) {
        static const char *const at_rest[] = {"normal", "done", NULL};
        const char *state = p->kube_view.state;

        return p->kube && state && !is_state(state, at_rest);
}

static void tell_api(Pod *p) {
        const KubeView *v = &p->kube_view;

        if ((p->api_known && p->told_api == v->api) || (!v->api && !v->why[0])) /* the latter: not asked yet */
                return;
        p->api_known = true;
        p->told_api = v->api;
        log_event(v->api ? LOG_NOTICE : LOG_WARNING, v->api ? "kube.api" : "kube.no_api",
                  LOG_FIELDS(LF_S("namespace", v->namespace_), LF_S("pod", v->pod), LF_S("reason", v->why)),
                  v->api ? "the Kubernetes API answers%s%s" : "no Kubernetes API%s%s: only what needs none is done",
                  v->why[0] ? ": " : "", v->why);
}

static void tell_state(Pod *p) {
        static const char *const bad[] = {"aborting", "in_place", "in-place", "signalled", NULL};
        const KubeView *v = &p->kube_view;
        char note[KUBE_NOTE_MAX];

        if (!v->state || (p->told_state && strcmp(p->told_state, v->state) == 0))
                return;
        if (p->told_state ||
            strcmp(v->state, "normal") != 0) { /* that a start finds nothing to go on with is no news */
                snprintf(note, sizeof(note), "rotation: %s%s%s%s%s%s%s%s", v->state, v->strategy ? " (" : "",
                         v->strategy ? v->strategy : "", v->strategy ? ")" : "", v->reason ? ": " : "",
                         v->reason ? v->reason : "", v->detail[0] ? "; " : "", v->detail);
                log_event(is_state(v->state, bad) ? LOG_WARNING : LOG_NOTICE, "rotation.state",
                          LOG_FIELDS(LF_S("state", v->state), LF_S("from", p->told_state ? p->told_state : ""),
                                     LF_S("strategy", v->strategy ? v->strategy : ""),
                                     LF_S("reason", v->reason ? v->reason : ""), LF_U("connections", v->connections)),
                          "%s", note);
                kube_tell(p->kube, KUBE_NEWS_ROTATION, is_state(v->state, bad), note);
        }
        p->told_state = v->state;
}

static void on_changed(void *userdata) {
        Pod *p = userdata;

        refresh(p);
        tell_api(p);
        tell_state(p);
        p->changed(p->userdata);
}

/* ---- what is told of it ---- */

Kube *pod_kube(const Pod *p) {
        return p->kube;
}

const PodView *pod_view(Pod *p) {
        const KubeView *v = &p->kube_view;

        if (!p->kube)
                return NULL;
        refresh(p);
        pod_place(p, &p->place);
        for (unsigned i = 0; i < v->n_requests && i < KUBE_REQUESTS_MAX; i++)
                p->requests[i] = (PodRequest){v->requests[i].verb, v->requests[i].outcome, v->requests[i].total};
        p->view = (PodView){
                .place = &p->place,
                .in_cluster = v->in_cluster,
                .api = v->api,
                .why = v->why,
                .state = v->state,
                .strategy = v->strategy,
                .reason = v->reason,
                .detail = v->detail,
                .state_since_usec = v->state_since_usec,
                .deadline_usec = v->deadline_usec,
                .ready = v->ready,
                .main_may_live = v->main_may_live,
                .slot_held = v->slot_held,
                .draining = v->draining,
                .connections_known = v->connections_known,
                .connections = v->connections,
                .slot_waited_usec = v->slot_waited_usec,
                .replace_learned_usec = v->replace_learned_usec,
                .drain_learned_usec = v->drain_learned_usec,
                .requests = p->requests,
                .n_requests = min_of(v->n_requests, (unsigned)KUBE_REQUESTS_MAX),
        };
        return &p->view;
}

/* Names that came by the environment are as good as the manifest; the owner only the API knows. */
void pod_place(const Pod *p, ReportPlace *ret) {
        ReportPlace place = p->place;

        if (p->kube_view.owner_name[0]) {
                memcpy(place.owner_kind, p->kube_view.owner_kind, sizeof(place.owner_kind));
                memcpy(place.owner_name, p->kube_view.owner_name, sizeof(place.owner_name));
        }
        *ret = place;
}

void pod_needs(const Pod *p, PolicyOptions *o) {
        if (!p->kube)
                return;
        o->rotate_needs_usec[NEED_DRAIN] = max_of(o->rotate_needs_usec[NEED_DRAIN], p->kube_view.drain_learned_usec);
        o->rotate_needs_usec[NEED_STARTUP] =
                max_of(o->rotate_needs_usec[NEED_STARTUP], p->kube_view.replace_learned_usec);
}

int pod_ready(const Pod *p, char *text, size_t size) {
        bool ready = !p->kube || kube_is_ready(p->kube);

        snprintf(text, size, "%s", ready ? "the pod may serve" : "the pod leaves its Services: it is being rotated");
        return ready ? 200 : 503;
}

int pod_alive(Pod *p, char *text, size_t size) {
        bool may = !p->kube || kube_main_may_live(p->kube);

        if (p->kube)
                kube_alive_asked(p->kube, now_boot_usec());
        snprintf(text, size, "%s",
                 may ? "the main container may go on" : "the main container is to be restarted: its limit is near");
        return may ? 200 : 503;
}

void pod_tell_alert(Pod *p, const TargetView *t, const Decision *d) {
        char summary[SUMMARY_MAX];
        bool firing = d->verb == VERB_ACT;

        if (p->kube)
                kube_tell(p->kube, firing ? KUBE_NEWS_ALERT : KUBE_NEWS_RESOLVED, firing,
                          summary_decision(summary, t, d));
}

void pod_tell_outcome(Pod *p, const TargetView *t, const Outcome *o) {
        bool worked = o->result == OUTCOME_OK || o->result == OUTCOME_PARTIAL || o->result == OUTCOME_SKIPPED;
        char summary[SUMMARY_MAX];

        if (p->kube)
                kube_tell(p->kube, o->rung == RUNG_RECLAIM ? KUBE_NEWS_RECLAIM : KUBE_NEWS_ROTATION, !worked,
                          summary_outcome(summary, t, o));
}

static void tell_forecast(Pod *p, const Watch *w, uint64_t now_usec) {
        Json j = JSON_INIT(&p->forecast);
        TargetView t;

        watch_view(w, &t);
        if (!t.present || !t.sample_known)
                return;
        p->forecast_next_usec = now_usec + FORECAST_LOOK_USEC;
        buf_reset(&p->forecast);
        json_object_begin(&j);
        document_time(&j, "time", now_real_usec());
        json_kv_string(&j, "target", t.target->spec.name);
        document_usage(&j, &t, &t.decisions[RUNG_ALERT]);
        document_forecast(&j, &t, &t.decisions[RUNG_ALERT]);
        json_kv_string(&j, "verdict", t.verdict);
        json_object_end(&j);
        if (!p->forecast.failed && !j.failed)
                kube_tell_forecast(p->kube, buf_str(&p->forecast));
}

/* ---- life ---- */

static void read_environment(ReportPlace *place) {
        static const struct {
                const char *name;
                size_t offset, size;
        } rows[] = {
                {"PLATEAU_NAMESPACE", offsetof(ReportPlace, namespace_), sizeof(place->namespace_)},
                {"PLATEAU_POD_NAME", offsetof(ReportPlace, pod), sizeof(place->pod)},
                {"PLATEAU_NODE", offsetof(ReportPlace, node), sizeof(place->node)},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *value = getenv(rows[i].name);

                if (value && strlen(value) < rows[i].size) /* a name that is cut is another's */
                        strcpy((char *)place + rows[i].offset, value);
        }
}

int pod_new(sd_event *event, PodChangedFn changed, void *userdata, Pod **ret) {
        Pod *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->event = sd_event_ref(event);
        p->changed = changed;
        p->userdata = userdata;
        p->forecast.max = FORECAST_MAX;
        read_environment(&p->place);
        *ret = p;
        return 0;
}

Pod *pod_free(Pod *p) {
        if (!p)
                return NULL;
        kube_free(p->kube);
        buf_done(&p->forecast);
        sd_event_unref(p->event);
        free(p);
        return NULL;
}

int pod_prepare(Pod *p, const KubeOptions *o, Kube **ret_fresh, char *why, size_t why_size) {
        KubeHost host = {.changed = on_changed, .userdata = p};

        *ret_fresh = NULL;
        return o->enabled && !p->kube ? kube_new(p->event, o, &host, ret_fresh, why, why_size) : 0;
}

void pod_commit(Pod *p, const KubeOptions *o, Kube *fresh) {
        if (fresh)
                p->kube = fresh;
        else if (!o->enabled)
                p->kube = kube_free(p->kube);
        else if (p->kube && kube_set_options(p->kube, o) < 0)
                log_event(LOG_ERR, "config.kept", LOG_FIELDS(LF_S("section", "kubernetes")),
                          "kubernetes: out of memory, the old options stay");
        refresh(p);
}
