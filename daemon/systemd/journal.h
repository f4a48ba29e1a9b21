/* SPDX-License-Identifier: Apache-2.0
 *
 * journald's native protocol as a log sink (util/log.h): one datagram an event, with MESSAGE, PRIORITY,
 * SYSLOG_IDENTIFIER, MESSAGE_ID, PLATEAU_EVENT and each field as PLATEAU_<KEY>. Not by sd_journal_sendv(): that waits
 * while journald's queue is full (seen with libsystemd 252: it sends on a blocking socket), and a memory watchdog must
 * not wait for its log reader. An entry that cannot be sent at once is dropped and counted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/log.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define JOURNAL_ID_MAX 33

/**
 * journal_open() - get ready to be a sink; call again to change
 * @path:       of the datagram socket; NULL = JOURNAL_SOCKET
 * @identifier: SYSLOG_IDENTIFIER, copied
 * Return: 0; -ENAMETOOLONG; -ENOENT and the like: nobody listens there; other negative errno.
 */
int journal_open(const char *path, const char *identifier) _must_check_;
void journal_close(void); /* the sink drops everything afterwards */

/* journal_sink() - the LogSinkFn. */
void journal_sink(int level, const char *event, const LogField *fields, const char *message);

/* journal_dropped() - entries lost because journald did not take them at once, or is not there. */
uint64_t journal_dropped(void);

/* journal_is_stderr() - stderr goes to the journal: systemd set JOURNAL_STREAM to its device and inode
 * (systemd.exec(5), since 231). A stderr that was redirected afterwards is another file. */
bool journal_is_stderr(void);

/* journal_message_id() - MESSAGE_ID of an event: FNV-1a of its name, lower-case hex; the same in every version
 * and on every machine (128 bits), so that `journalctl MESSAGE_ID=...` and catalogues can rely on it. Return: @buf. */
const char *journal_message_id(char buf[static JOURNAL_ID_MAX], const char *event);
