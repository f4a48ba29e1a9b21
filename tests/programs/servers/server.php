<?php
// SPDX-License-Identifier: Apache-2.0
// A request to a worker of PHP-FPM: some memory, and the answer.
$n = (int)$_GET['n'];
$kept = [];
for ($i = 0; $i < 300; $i++)
        $kept[] = str_repeat(chr(65 + $i % 26), random_int(1, 20000));
shuffle($kept);
echo str_repeat("$n plateau\n", $n % 200 + 1);
