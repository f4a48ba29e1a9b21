/* SPDX-License-Identifier: Apache-2.0
 *
 * Written by tests/bench/forecast-fit, which tells how the figures were found: not to be edited by hand.
 * Rows and columns are the enums of line.h, forecast.h and shape.h, in their order.
 */
#include "trend/coefficients.h"

/* clang-format off */
const double line_coefficients[_LINE_FORMS][_LINE_FEATURES] = {
        [FORM_WEIGHT_FLOOR] = {5.297, -0.2754, 0.08108, -0.1717, 0.07438, 0.4969, 1.175, -2.779, 0.0804, 0.4198,
                               0.2154, -0.1038, -2.365, 0.01268, 0.1131},
        [FORM_WEIGHT_CEILING] = {-12.4, 0.9836, -0.7544, 0.07727, -0.6897, 0.7943, -0.9172, 4.731, -0.7471, -3.478,
                                 -1.171, 0.6515, -1.464, -0.1442, 0.3448},
        [FORM_SHIFT_FLOOR] = {-0.4475, -0.2541, -0.09996, 0.04608, 0.03509, 0.1288, 0.005093, 0.1727, 0.0008335,
                              -0.0005185, 0.1116, -0.3877, 1.3, -0.0006341, -0.01468},
        [FORM_SHIFT_CEILING] = {0.1124, -0.0709, 0.05414, 0.04984, 0.01451, -0.008717, 0.04092, -0.06306, -0.1665,
                                0.0266, -0.006411, -0.3232, 0.7995, -0.02308, -0.0136},
        [FORM_WIDTH_LO] = {1.416, -0.3611, 0.006265, -0.05347, -0.006794, -0.6669, -0.04629, -0.5023, 0.7276,
                           0.2941, -0.4156, -0.02515, -0.1991, 0.3673, 0.04085},
        [FORM_WIDTH_HI] = {-0.4676, -1.507, 0.3295, -0.0105, 0.03202, 0.4038, 0.08416, -0.8791, 0.2811, 0.4684,
                           -0.5495, 0.1645, 0.4583, -0.03747, -0.174},
        [FORM_SCORE] = {-4.927, 0.5083, -0.3636, -0.2736, 0.3945, 0.4852, -0.4315, 2.089, -2.582, -0.4977, -0.5138,
                        0.5347, 1.417, 0.5378, 0.3044},
};

const double dynamic_coefficients[_LINE_FORMS][_DYNAMIC_FEATURES] = {
        [FORM_WEIGHT_FLOOR] = {-0.7649, -0.2509, -0.3463, -0.1833},
        [FORM_WEIGHT_CEILING] = {-1.708, -1.202, -0.4557, -0.1239},
        [FORM_SHIFT_FLOOR] = {-0.02223, 0.2864, 0.01032, -0.08601},
        [FORM_SHIFT_CEILING] = {-0.01083, 0.008446, 9.09e-06, -0.007724},
        [FORM_WIDTH_LO] = {0.2371, 0.02015, 0.1445, -0.2464},
        [FORM_WIDTH_HI] = {0.3166, 0.5119, -0.09818, 0.2322},
        [FORM_SCORE] = {-0.2259, -1.242, 0.3028, -1.91},
};

const double spread_coefficients[2] = {0.374, 0.2391};

const double life_coefficients[_LIFE_FEATURES] = {
        [LIFE_SPREAD] = 0.1512,
        [LIFE_USED] = -2.825,
        [LIFE_EXPLAINED] = -0.3064,
        [LIFE_EXPLAINED_WINDOW] = -0.6525,
        [LIFE_ROOM] = -0.3026,
        [LIFE_BELOW_HIGH] = 0.227,
        [LIFE_REACH] = 0.1109,
        [LIFE_CYCLES] = 0.5683,
        [LIFE_PROGRESS] = 9.687,
        [LIFE_SOON] = -1.25,
        [LIFE_LONGER] = 0.1526,
        [LIFE_SHORTER] = 0.1257,
        [LIFE_OLDER_HIGH] = -0.3549,
        [LIFE_SPAN] = 0.1859,
        [LIFE_RISE] = -1.053,
        [LIFE_HIGHEST_PEAK] = 0.7961,
        [LIFE_WHOLE] = -0.8619,
};

const double shape_coefficients[_SHAPE_MAX][_SHAPE_FEATURES] = {
        [SHAPE_FLAT] = {6.435, -0.4245, 2.011, 8.646, -4.531, -1.49, -0.6, -3.421, -8.344, -5.015, 5.799, -2.269,
                        -14.87, 2.246},
        [SHAPE_PLATEAU] = {3.693, -0.5978, -1.72, -4.51, 3.879, 1.73, -0.1439, 1.026, -12.48, 4.754, -3.749, 3.01,
                           -13.12, -1.356},
        [SHAPE_SAWTOOTH] = {-1.388, 0.8032, -0.217, 1.48, -1.854, -0.9765, 0.8505, 0.2828, 19.59, -5.733, 1.578,
                            -1.561, 16.64, 0.415},
        [SHAPE_STEP] = {-7.502, 0.1, 4.444, -0.09466, -1.704, -2.171, -0.6553, 1.016, -11.63, 7.157, -1.527, 1.028,
                        6.979, 0.8877},
};

const double shape_squares[_SHAPE_MAX][_SHAPE_FEATURES] = {
        [SHAPE_FLAT] = {0, 0.07197, -8.296, -5.297, 3.169, 3.635, 2.346, 0.0656, 9.254, 4.286, 0.5926, -4.85, 43.32,
                        -1.724},
        [SHAPE_PLATEAU] = {0, -0.1368, -3.61, -4.941, -3.318, -0.7056, -2.2, -0.1143, -21.12, 0.4396, -1.241,
                           -2.529, -20.99, -1.977},
        [SHAPE_SAWTOOTH] = {0, 0.04151, 7.476, 5.593, 2.448, -1.18, 1.643, -0.2942, 14.57, -4.425, -1.926, 5.029,
                            -13.75, 3.313},
        [SHAPE_STEP] = {0, -0.1567, 0.9256, 4.144, 0.7595, -0.3229, 0.9373, 1.784, -3.713, 4.556, 2.818, 3.733,
                        30.58, 0.4173},
};

const ProofRule proof_rules[_TREND_PROOF_MAX] = {
        [TREND_PROOF_ALERT] = {.score = 2.3, .hold_ratio = 0.1},
        [TREND_PROOF_RECLAIM] = {.score = 3.5, .hold_ratio = 0.1},
        [TREND_PROOF_ROTATE] = {.score = 4.3, .hold_ratio = 0.1},
};
