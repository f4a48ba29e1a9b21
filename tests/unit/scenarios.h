/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of test-scenarios.c, which says how to read a time line. The limit is 1000 MiB, a look is every 5 s, a
 * rotation takes 10 s and 20 s later another process is there, a reclaim takes 2 s. What is not set is as by default:
 * alert at 80 % or 30 min, reclaim at 85 % or 15 min, rotate at 92 % or its deadline (5 min), `for` 10, 10 and 5 s.
 */
#pragma once

#define SIGNAL "{rotate: {method: signal}}"

static const Scenario scenarios[] = {
        /* ---- what other policies get wrong (how often each of them does is in their authors' issues) ---- */

        {"a fixed percentage comes too late for a fast leak: 6 min from a third to the limit",
         SIGNAL, 30, .phase = {{1, 42, 1}, {1, 53, 2}, {10, 170, 3}},
         .want = "0:00 (alert hold), 0:00 (reclaim unproven), 0:00 (rotate unproven), 0:10 alert eta, "
                 "0:15 (alert persists), 1:00 (reclaim hold), 1:10 reclaim eta, 1:15 (reclaim cooldown), "
                 "2:00 (rotate hold), 2:05 rotate deadline, 2:10 (rotate cooldown), 2:15 alert ends target_gone, "
                 "2:35 |"},
        {"a fixed percentage held for 10 min misses it, a deadline does not: 20 min to the limit",
         SIGNAL, 30, .phase = {{2, 37, 1}, {2, 44, 2}, {20, 114, 3}},
         .want = "0:00 (alert hold), 0:10 alert eta, 0:15 (alert persists), 1:15 (reclaim unproven), "
                 "2:00 (reclaim hold), 2:10 reclaim eta, 2:15 (reclaim cooldown), 12:15 reclaim eta, "
                 "12:20 (reclaim fruitless), 13:45 (rotate hold), 13:50 rotate deadline, 13:55 (rotate cooldown), "
                 "14:00 alert ends target_gone, 14:20 |"},
        {"a threshold and a trend both wanted miss the slow leak: 5 h to the limit",
         SIGNAL, 30, .gives_mib = 2, .phase = {{30, 37, 1}, {300, 107, 3}},
         .want = "214:20 (alert hold), 214:30 alert used, 214:35 (alert persists), 235:45 (reclaim hold), "
                 "235:55 reclaim used, 236:35 (reclaim hold), 236:45 (reclaim cooldown), 246:00 reclaim used, "
                 "246:05 (reclaim fruitless), 267:30 (rotate hold), 267:35 rotate used, 267:40 (rotate cooldown), "
                 "267:45 alert ends target_gone, 268:05 |"},
        {"a line through a warm-up: the forecaster claims nothing, so nothing happens",
         SIGNAL, 10, .phase = {{10, 50}, {10, 68}, {10, 74}, {600, 75}},
         .want = ""},
        {"a line through a warm-up that the forecaster believes for a while: an alert, no reclaim, no rotation",
         SIGNAL, 10, .phase = {{10, 60, 1}, {10, 72}, {120, 74}},
         .want = "0:00 (alert hold), 0:00 (reclaim unproven), 0:10 alert eta, 0:15 (alert persists), "
                 "10:10 alert ends cleared"},
        {"a line through a step up and its release",
         SIGNAL, 30, .phase = {{10}, {60, 70, .jump = true}, {60, 30, .jump = true}, {10}},
         .want = ""},
        {"bursts that keep 80 % of what they took: below every threshold",
         SIGNAL, 20, .phase = {{1, 60}, {30, 52}, {1, 78}, {120, 70}},
         .want = ""},
        {"a sawtooth: each tooth looks like a leak to the weakest proof, none to reclaim's",
         SIGNAL, 20, .phase = {{10, 60, 1}, {5, 20, .jump = true}, {10, 60, 1}, {5, 20, .jump = true}, {10, 60, 1},
                                   {30, 20, .jump = true}},
         .want = "0:00 (alert hold), 0:10 alert eta, 0:15 (alert persists), 1:15 (reclaim unproven), "
                 "10:10 alert ends cleared, 15:00 (alert hold), 15:10 alert eta, 15:15 (alert persists), "
                 "16:15 (reclaim unproven), 25:10 alert ends cleared, 30:00 (alert hold), 30:10 alert eta, "
                 "30:15 (alert persists), 31:15 (reclaim unproven), 40:10 alert ends cleared"},
        {"twenty new maxima are no leak: a slow cache fill far from the limit",
         SIGNAL, 20, .phase = {{600, 45, 3}, {60}},
         .want = ""},
        {"restart on one sample: a spike to 94 % for one look",
         SIGNAL, 50, .phase = {{1}, {0.08, 94, .jump = true}, {10, 50, .jump = true}},
         .want = "1:00 (alert hold), 1:00 (reclaim hold), 1:00 (rotate hold)"},
        {"a restart storm: it leaks from its first second, and no restart cures it",
         "{startup_grace: 30s, rotate: {method: signal, cooldown: 1m}}", 30, .gives_mib = 1, .again = true,
         .phase = {{10, 130, 3}, {3, 130}},
         .want = "0:00 (alert hold), 0:00 (reclaim hold), 0:10 alert eta, 0:10 reclaim eta, "
                 "0:15 (alert persists), 0:15 (reclaim cooldown), 0:50 (rotate hold), 0:55 rotate deadline, "
                 "1:00 (rotate cooldown), 1:05 alert ends target_gone, 1:25 |, 1:25 (alert startup_grace), "
                 "1:25 (reclaim startup_grace), 1:55 (alert hold), 1:55 reclaim eta, 2:00 (reclaim cooldown), "
                 "2:05 alert eta, 2:10 (alert persists), 2:15 (rotate hold), 2:20 rotate deadline, "
                 "2:25 (rotate cooldown), 2:30 alert ends target_gone, 2:50 |, 2:50 (alert startup_grace), "
                 "2:50 (reclaim startup_grace), 3:20 (alert hold), 3:20 reclaim eta, 3:25 (reclaim cooldown), "
                 "3:30 alert eta, 3:35 (alert persists), 3:40 (rotate hold), 3:45 rotate deadline, "
                 "3:50 (rotate breaker), 3:55 alert ends target_gone, 4:15 |, 4:15 (alert startup_grace), "
                 "4:15 (reclaim startup_grace), 4:45 (alert hold), 4:45 reclaim eta, 4:50 (reclaim cooldown), "
                 "4:55 alert eta, 5:00 (alert persists), 5:05 (rotate hold), 5:10 (rotate breaker), 11:20 KILLED, "
                 "11:20 alert ends target_gone, 11:40 |, 11:40 (alert startup_grace), "
                 "11:40 (reclaim startup_grace), 12:10 (alert hold), 12:10 reclaim eta, 12:15 (reclaim cooldown), "
                 "12:20 alert eta, 12:25 (alert persists), 12:30 (rotate hold), 12:35 (rotate breaker)"},
        {"trims on a clock give nothing: two strikes, then it rests and rotation goes on",
         "{reclaim: {cooldown: 2m, eta: none}, rotate: {method: signal, used: 95%, eta: none}}", 86,
         .gives_mib = 1, .phase = {{8}, {2, 96}},
         .want = "0:00 (alert hold), 0:00 (reclaim hold), 0:10 alert used, 0:10 reclaim used, "
                 "0:15 (alert persists), 0:15 (reclaim cooldown), 2:15 reclaim used, 2:20 (reclaim fruitless), "
                 "9:55 (rotate hold)"},
        {"page cache is not use: file pages alone make nobody act, but who wants to know is told",
         "{alert: {verdict: [files]}, rotate: {method: signal}}", 40, .phase = {{5}, {20, .verdict = 5}, {5}},
         .want = "5:00 (alert hold), 5:10 alert verdict, 5:15 (alert persists), 25:10 alert ends cleared"},

        /* ---- the deadline ---- */

        {"urgent from the start: 100 s to the limit, nothing polite is waited for",
         SIGNAL, 50, .phase = {{1}, {2.5, 140, 3}},
         .want = "1:00 alert eta, 1:00 (reclaim hold), 1:00 rotate deadline, 1:05 (alert persists), "
                 "1:05 (rotate cooldown), 1:10 alert ends target_gone, 1:30 |"},
        {"a burst that no forecaster saw: alert and SIGTERM come before the kill, which a drain of 10 s does not",
         SIGNAL, 20, .tick_s = 0.5, .phase = {{1}, {0.5, 200}},
         .want = "1:10 (alert hold), 1:11 (reclaim hold), 1:11 alert used, 1:11 rotate burst, "
                 "1:12 (alert persists), 1:12 (rotate cooldown), 1:13 KILLED, 1:13 alert ends target_gone"},
        {"it is learned that a start-up takes 8 min: the second deadline is earlier",
         "{reclaim: {enabled: false}, rotate: {method: signal, used: none, cooldown: 1m}}", 30,
         .startup_s = 480, .again = true,
         .phase = {{30, 110, 3}, {12, 110, 3}},
         .want = "0:00 (alert hold), 0:10 alert eta, 0:15 (alert persists), 7:30 (reclaim disabled), "
                 "20:00 (rotate hold), 20:05 rotate deadline, 20:10 (rotate cooldown), "
                 "20:15 alert ends target_gone, 28:15 |, 28:15 (alert startup_grace), 30:15 (alert hold), "
                 "30:25 alert eta, 30:30 (alert persists), 35:45 (reclaim disabled), 40:45 (rotate hold), "
                 "40:50 rotate deadline, 40:55 (rotate cooldown), 41:00 alert ends target_gone"},
        {"a rotation that fails is tried again after 30 s, then after 2 min",
         "{reclaim: {enabled: false}, rotate: {method: signal, eta: none}}", 93, .failures = 2, .phase = {{6}},
         .want = "0:00 (alert hold), 0:00 (reclaim disabled), 0:00 (rotate hold), 0:05 rotate used, "
                 "0:10 alert used, 0:10 (rotate cooldown), 0:15 (alert persists), 0:45 rotate used, "
                 "0:50 (rotate cooldown), 2:55 rotate used, 3:00 (rotate breaker), 3:05 alert ends target_gone, "
                 "3:25 |, 3:25 (alert hold), 3:25 (reclaim disabled), 3:25 (rotate startup_grace), "
                 "3:35 alert used, 3:40 (alert persists), 5:25 (rotate breaker)"},
        {"a rotation is due while a reclaim runs: the next look does it",
         "{reclaim: {used: 60%, for: 0, eta: none}, rotate: {method: signal}}", 61, .reclaim_s = 12,
         .phase = {{0.08}, {2, 97, .jump = true}},
         .want = "0:00 reclaim used, 0:05 alert used, 0:05 (reclaim cooldown), 0:05 (rotate busy), "
                 "0:10 (alert persists), 0:15 rotate used, 0:20 (rotate cooldown), 0:25 alert ends target_gone, "
                 "0:45 |, 0:45 (reclaim startup_grace)"},
        {"nothing to rotate with: it says so at each rung",
         SIGNAL, 93, .cannot_rotate = true, .gives_mib = 30, .phase = {{2}},
         .want = "0:00 (alert hold), 0:00 (reclaim hold), 0:00 (rotate unsupported), 0:10 alert used, "
                 "0:10 reclaim used, 0:15 (alert persists), 0:15 (reclaim cooldown)"},
        {"proof enough for reclaim, not for rotate, up to rotate's own percentage",
         SIGNAL, 70, .gives_mib = 1, .phase = {{10, 96, 2}},
         .want = "0:00 (alert hold), 0:00 (reclaim hold), 0:10 alert eta, 0:10 reclaim eta, "
                 "0:15 (alert persists), 0:15 (reclaim cooldown), 5:20 (rotate unproven), 8:35 (rotate hold), "
                 "8:40 rotate used, 8:45 (rotate cooldown), 8:50 alert ends target_gone, 9:10 |"},

        /* ---- reclaim ---- */

        {"a reclaim that lasts: rotation is never needed",
         SIGNAL, 80, .gives_mib = 300, .phase = {{5, 87}, {60}},
         .want = "0:00 (alert hold), 0:10 alert used, 0:15 (alert persists), 3:35 (reclaim hold), "
                 "3:45 reclaim used, 4:00 alert ends cleared"},
        {"what it gives is back in 2 min: each wait is twice the last, until rotation takes over",
         "{reclaim: {cooldown: 5m, eta: none}, rotate: {method: signal, used: 95%, eta: none}}", 86,
         .gives_mib = 100, .back_minutes = 2,
         .phase = {{80}, {2, 95.5}, {1}},
         .want = "0:00 (alert hold), 0:00 (reclaim hold), 0:10 alert used, 0:10 reclaim used, "
                 "0:15 (alert persists), 2:15 (reclaim hold), 2:25 (reclaim cooldown), 5:15 (reclaim regrown), "
                 "10:15 reclaim used, 12:20 (reclaim hold), 12:30 (reclaim cooldown), 15:20 (reclaim regrown), "
                 "30:20 reclaim used, 32:25 (reclaim hold), 32:35 (reclaim cooldown), 35:25 (reclaim regrown), "
                 "60:10 alert persists, 60:15 (alert persists), 70:25 reclaim used, 72:30 (reclaim hold), "
                 "72:40 (reclaim cooldown), 75:30 (reclaim regrown), 81:55 (rotate hold), 82:00 rotate used, "
                 "82:05 (rotate cooldown), 82:10 alert ends target_gone, 82:30 |, 82:30 (alert hold), "
                 "82:30 (reclaim startup_grace), 82:40 alert used, 82:45 (alert persists)"},
        {"a look foretells too little: no call, and rotation need not wait",
         SIGNAL, 90, .phase = {{1, .predicted_mib = 1}, {2, 93, .predicted_mib = 1}},
         .want = "0:00 (alert hold), 0:00 (reclaim hold), 0:10 alert used, 0:10 (reclaim little_gain), "
                 "0:15 (alert persists), 2:20 (rotate hold), 2:25 rotate used, 2:30 (rotate cooldown), "
                 "2:35 alert ends target_gone, 2:55 |, 2:55 (alert hold), 2:55 (reclaim startup_grace)"},
        {"pinned fragmentation goes straight to rotation, if that is wanted",
         "{reclaim: {enabled: false}, rotate: {method: signal, verdict: [pinned_fragmentation]}}", 60,
         .phase = {{5}, {2, .verdict = 4}},
         .want = "5:00 (rotate hold), 5:05 rotate verdict, 5:10 (rotate cooldown), 5:35 |"},

        /* ---- who waits for what ---- */

        {"dry run: the same rhythm, nothing is done",
         "{dry_run: true, rotate: {method: signal}}", 93, .phase = {{11}},
         .want = "0:00 (alert hold), 0:00 (reclaim hold), 0:00 (rotate hold), 0:05 (rotate earlier_rung), "
                 "0:10 alert used, 0:10 (reclaim dry_run), 0:15 (alert persists), 0:15 (reclaim cooldown), "
                 "0:20 (rotate dry_run), 0:25 (rotate cooldown), 10:10 (reclaim dry_run), 10:15 (reclaim cooldown)"},
        {"start-up is not judged by a forecast, but by use",
         SIGNAL, 10, .age_s = 1, .phase = {{1.5, 82, 3}, {2}},
         .want = "0:00 (alert startup_grace), 0:00 (reclaim startup_grace), 0:00 (rotate startup_grace), "
                 "1:30 (alert hold), 1:40 alert used, 1:45 (alert persists)"},
        {"maintenance from 01:00 on: what is not urgent waits for it",
         "{maintenance: {allow: [\"daily 01:00-05:00\"]}, rotate: {method: signal, eta: none}}", 93, .week_minute = 55,
         .gives_mib = 1, .phase = {{10}},
         .want = "0:00 (alert hold), 0:00 (reclaim window), 0:00 (rotate window), 0:10 alert used, "
                 "0:15 (alert persists), 5:00 reclaim used, 5:00 (rotate earlier_rung), 5:05 (reclaim cooldown), "
                 "5:15 rotate used, 5:20 (rotate cooldown), 5:25 alert ends target_gone, 5:45 |, "
                 "5:45 (alert hold), 5:45 (reclaim startup_grace), 5:45 (rotate startup_grace), 5:55 alert used, "
                 "6:00 (alert persists), 7:45 reclaim used, 7:45 (rotate cooldown), 7:50 (reclaim cooldown)"},
        {"and what is urgent does not",
         "{maintenance: {allow: [\"daily 01:00-05:00\"]}, rotate: {method: signal, eta: none}}", 93, .week_minute = 50,
         .phase = {{2}, {3, 98}},
         .want = "0:00 (alert hold), 0:00 (reclaim window), 0:00 (rotate window), 0:10 alert used, "
                 "0:15 (alert persists), 3:50 (reclaim busy), 3:50 rotate used, 3:55 (rotate cooldown), "
                 "4:00 alert ends target_gone, 4:20 |, 4:20 (alert hold), 4:20 (reclaim startup_grace), "
                 "4:20 (rotate startup_grace), 4:30 alert used, 4:35 (alert persists)"},
        {"an alert that flutters around its threshold is one alert",
         "{reclaim: {enabled: false}}", 79, .phase = {{1, 81}, {1, 78}, {1, 81}, {1, 77}, {1, 81}, {2, 70}, {1}},
         .want = "0:30 (alert hold), 0:40 alert used, 0:45 (alert persists), 6:05 alert ends cleared"},
        {"an alert by forecast stays while the forecaster is blind, and is told again each hour",
         "{reclaim: {enabled: false}}", 30, .phase = {{5, 42, 2}, {90, .blind = true}, {10}},
         .want = "0:00 (alert hold), 0:10 alert eta, 0:15 (alert persists), 60:10 alert persists, "
                 "60:15 (alert persists), 95:10 alert ends cleared"},
        {"the limit is raised in place: the alert ends, nothing is rotated",
         "{reclaim: {enabled: false}, rotate: {method: signal, eta: none}}", 85, .phase = {{2}, {2, .limit_mib = 2000}},
         .want = "0:00 (alert hold), 0:00 (reclaim disabled), 0:10 alert used, 0:15 (alert persists), "
                 "2:10 alert ends cleared"},
        {"no limit is known: bytes and growth still are",
         "{alert: {growth: 1GiB/h, bytes: 800MiB}, rotate: {method: signal, bytes: 900MiB}}", 50, .no_limit = true,
         .gives_mib = 1, .phase = {{5}, {15, 95, 3}},
         .want = "5:00 (alert hold), 5:10 alert growth, 5:15 (alert persists), 18:20 (rotate hold), "
                 "18:25 rotate bytes, 18:30 (rotate cooldown), 18:35 alert ends target_gone, 18:55 |"},
        {"every rung off: silence, but for saying so",
         "{alert: {enabled: false}, reclaim: {enabled: false}, rotate: {enabled: false}}", 97, .phase = {{1}},
         .want = "0:00 (alert disabled), 0:00 (reclaim disabled), 0:00 (rotate disabled)"},
};
