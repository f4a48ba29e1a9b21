/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/student.h"

#include <math.h>

#include "util/cleanup.h"

double normal_quantile(double confidence) {
        double z = 1;

        /* Newton on erf(z / sqrt 2) = confidence. erf is concave above zero: a step from the left never goes too far,
         * one from the right lands on the left. So it converges from any start once z is kept positive. */
        for (int i = 0; i < 60; i++) {
                double error = erf(z * M_SQRT1_2) - confidence;
                double step = error / (M_2_SQRTPI * M_SQRT1_2 * exp(-z * z / 2));

                z = max_of(z - step, z / 16);
                if (fabs(step) < 1e-13)
                        break;
        }
        return z;
}

static double expand(double z, double freedom) {
        double z2 = z * z;
        double g1 = z * (z2 + 1) / 4;
        double g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
        double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
        double g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;

        return z + (g1 + (g2 + (g3 + g4 / freedom) / freedom) / freedom) / freedom;
}

double student_quantile(double confidence, double normal, double freedom) {
        double one = tan(M_PI_2 * confidence);
        double two = confidence * sqrt(2 / (1 - confidence * confidence));
        double three = expand(normal, 3);

        if (freedom >= 3)
                return expand(normal, freedom);
        if (freedom >= 2)
                return three + (two - three) * (1 / freedom - 1.0 / 3) / (1.0 / 2 - 1.0 / 3);
        if (freedom > 1)
                return two + (one - two) * (1 / freedom - 1.0 / 2) / (1.0 / 2);
        return one;
}
