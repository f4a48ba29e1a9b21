/* SPDX-License-Identifier: Apache-2.0
 *
 * Written by tests/bench/forecast-fit, which tells how the figures were found: not to be edited by hand.
 * Rows and columns are the enums of line.h, forecast.h and shape.h, in their order.
 */
#include "trend/coefficients.h"

/* clang-format off */
const double line_coefficients[_LINE_FORMS][_LINE_FEATURES] = {
        [FORM_WEIGHT_FLOOR] = {6.072, -0.06666, -0.3028, -0.1912, -0.03731, 0.3716, 0.9747, -2.852, 0.2963, 0.496,
                               0.3133, -0.06357, -1.92, 0.07449, 0.11},
        [FORM_WEIGHT_CEILING] = {-9.413, 1.326, -0.7921, 0.1033, -0.5907, 0.2387, -0.7312, 4.226, -0.8561, -3.334,
                                 -1.227, 0.5388, -1.761, -0.3052, 0.3212},
        [FORM_SHIFT_FLOOR] = {-0.3904, -0.2521, -0.1013, 0.07107, 0.02656, 0.1329, -0.1222, 0.1888, -0.01807,
                              0.07152, 0.1004, -0.4099, 0.1943, 0.04369, -0.03684},
        [FORM_SHIFT_CEILING] = {0.111, -0.08601, 0.04144, 0.03976, 0.007537, 0.03104, 0.05872, -0.0857, -0.1654,
                                0.04125, -0.008874, -0.2992, 0.9701, -0.01966, -0.01238},
        [FORM_WIDTH_LO] = {1.008, -0.281, 0.2864, -0.1378, 0.01042, -1.299, -0.01926, -0.3186, 0.9214, 0.07949,
                           -0.3573, 0.01973, -1.049, 0.2896, 0.06615},
        [FORM_WIDTH_HI] = {-0.3985, -1.441, 0.3943, -0.1016, 0.0348, 0.3796, 0.2578, -0.9236, 0.3493, 0.3525,
                           -0.4818, 0.1882, 1.102, -0.1068, -0.1646},
        [FORM_SCORE] = {-5.217, 0.5936, -0.1854, -0.3448, 0.1294, 0.7007, -0.4594, 2.154, -2.862, -0.415, -0.4577,
                        0.4653, 0.6722, 0.5125, 0.3334},
};

const double dynamic_coefficients[_LINE_FORMS][_DYNAMIC_FEATURES] = {
        [FORM_WEIGHT_FLOOR] = {-0.521, -0.2082, -0.3271, -0.2807},
        [FORM_WEIGHT_CEILING] = {-1.713, -1.363, -0.3321, -0.1674},
        [FORM_SHIFT_FLOOR] = {-0.02673, 0.2903, 0.008072, -0.08028},
        [FORM_SHIFT_CEILING] = {-0.006201, 0.01186, -0.003981, -0.002451},
        [FORM_WIDTH_LO] = {0.2462, -0.009053, 0.1628, -0.2872},
        [FORM_WIDTH_HI] = {0.3126, 0.5185, -0.09769, 0.2268},
        [FORM_SCORE] = {-0.2766, -1.452, 0.4123, -1.656},
};

const double spread_coefficients[2] = {0.4728, 0.2374};

const double life_coefficients[_LIFE_FEATURES] = {
        [LIFE_SPREAD] = 0.1868,
        [LIFE_USED] = -1.778,
        [LIFE_EXPLAINED] = -0.3031,
        [LIFE_EXPLAINED_WINDOW] = -0.6038,
        [LIFE_ROOM] = -0.439,
        [LIFE_BELOW_HIGH] = 0.2222,
        [LIFE_REACH] = 0.1386,
        [LIFE_CYCLES] = 0.6416,
        [LIFE_PROGRESS] = 8.377,
        [LIFE_SOON] = -1.233,
        [LIFE_LONGER] = -0.08365,
        [LIFE_SHORTER] = 0.007875,
        [LIFE_OLDER_HIGH] = -0.4169,
        [LIFE_SPAN] = 0.03562,
        [LIFE_RISE] = -0.7606,
        [LIFE_HIGHEST_PEAK] = 0.8047,
        [LIFE_PRIOR] = 0,
        [LIFE_WHOLE] = -0.7017,
};

const double shape_coefficients[_SHAPE_MAX][_SHAPE_FEATURES] = {
        [SHAPE_FLAT] = {6.845, -0.4043, 1.582, 10.47, -4.319, -2.594, -2.234, -3.188, -3.842, -5.191, 4.657, -2.29,
                        -16.21, 2.042},
        [SHAPE_PLATEAU] = {3.355, -0.6404, -1.474, -5.092, 4.256, 1.748, -0.1803, 0.8604, -14.27, 5.787, -4.397,
                           2.976, -14.31, -1.477},
        [SHAPE_SAWTOOTH] = {-0.7317, 0.867, -0.6347, 1.454, -2.79, -0.7016, 1.404, 0.5934, 19.76, -5.86, 1.697,
                            -1.731, 17.4, 0.7939},
        [SHAPE_STEP] = {-9.638, -0.1584, 5.68, -0.9925, -1.412, -0.7852, 1.223, 0.09328, -19.22, 4.63, 3.419, 1.005,
                        9.95, 0.4554},
};

const double shape_squares[_SHAPE_MAX][_SHAPE_FEATURES] = {
        [SHAPE_FLAT] = {0, 0.07583, -8.206, -7.8, 3.826, 4.227, 2.814, 1.136, 2.232, 4.422, 1.453, -4.968, 35.59,
                        -1.311},
        [SHAPE_PLATEAU] = {0, -0.1347, -3.435, -5.499, -4.743, -1.123, -2.292, -0.2206, -19.3, 0.964, 0.03035,
                           -1.657, -6.337, -1.716},
        [SHAPE_SAWTOOTH] = {0, 0.02684, 7.239, 5.998, 3.627, -1.207, 1.316, -0.7338, 16.11, -5.069, -2.905, 4.629,
                            -23.79, 2.758},
        [SHAPE_STEP] = {0, -0.1237, 1.523, 8.056, 2.195, 0.4726, 1.586, 1.606, -9.838, 4.47, 1.583, 4.055, 26.11,
                        0.3232},
};

const ProofRule proof_rules[_TREND_PROOF_MAX] = {
        [TREND_PROOF_ALERT] = {.score = 2.3, .hold_ratio = 0.1},
        [TREND_PROOF_RECLAIM] = {.score = 3.5, .hold_ratio = 0.1},
        [TREND_PROOF_ROTATE] = {.score = 4.3, .hold_ratio = 0.1},
};
