/* SPDX-License-Identifier: Apache-2.0
 *
 * Content negotiation of one page: does the scraper want OpenMetrics or the older text format? Prometheus asks for
 * both with weights, vmagent for the older one alone, a person with curl for anything: who does not ask for
 * OpenMetrics 1.0.0 gets text 0.0.4.
 */
#pragma once

#include <stdbool.h>

/* accept_openmetrics() - @accept: an Accept header, any bytes. Source: RFC 9110 section 12.5.1. */
bool accept_openmetrics(const char *accept);
