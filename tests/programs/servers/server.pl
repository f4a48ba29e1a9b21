# SPDX-License-Identifier: Apache-2.0
# One process, one thread, select(); every request takes and frees strings.
use strict;
use warnings;
use Errno;
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);

my @kept;
my (%buffer, %count);
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 16) or die $!;
my $select = IO::Select->new($listener);
$| = 1;
print 'ready ', $listener->sockport, "\n";
$SIG{PIPE} = 'IGNORE';
while (1) {
        for my $socket ($select->can_read) {
                if ($socket == $listener) {
                        my $client = $listener->accept or next;
                        setsockopt($client, IPPROTO_TCP, TCP_NODELAY, 1);
                        $select->add($client);
                        $buffer{$client} = '';
                        next;
                }
                my $got = sysread($socket, $buffer{$socket}, 65536, length $buffer{$socket});
                $got = 0 if !defined $got && $!{ECONNRESET}; # a client that closed with an answer under way
                die "read: $!" unless defined $got; # EINTR among it: nobody else sends this process signals
                if (!$got) {
                        $select->remove($socket);
                        delete $buffer{$socket};
                        delete $count{$socket};
                        close $socket;
                        next;
                }
                while ($buffer{$socket} =~ s/^GET \/(\d+) .*?\r\n\r\n//s) {
                        my ($n, $answer, $done) = ($1, '', 0);
                        $kept[rand 2000] = $n x rand 4000 for 1 .. 30;
                        my $body = sprintf("%d %d plateau\n", $n, ++$count{$socket}) x ($n % 200 + 1);
                        $answer = sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length $body) . $body;
                        while ($done < length $answer) {
                                my $put = syswrite($socket, $answer, length($answer) - $done, $done);
                                last if !defined $put && ($!{ECONNRESET} || $!{EPIPE});
                                die "write: $!" unless defined $put;
                                $done += $put;
                        }
                }
        }
}
