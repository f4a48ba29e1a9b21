/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own memory on a plateau: what starting up needed is given back once it is over. The heap that reading the
 * configuration took, and the pages of program text that only ran once; the kernel maps 16 pages around each one that
 * is touched (fault_around_bytes, since Linux 3.15), so most of a library's resident text was never executed at all.
 */
#pragma once

/* footprint_shrink() - call once, when the start is over. What is needed again is mapped again from the page cache, by
 * minor faults. Never fails: what cannot be given back stays. */
void footprint_shrink(void);
