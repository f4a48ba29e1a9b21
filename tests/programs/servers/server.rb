# SPDX-License-Identifier: Apache-2.0
# A thread a connection; every request takes and frees strings.
require 'socket'

kept = Array.new(2000)
server = TCPServer.new('127.0.0.1', 0)
puts "ready #{server.addr[1]}"
$stdout.flush
loop do
  Thread.new(server.accept) do |client|
    client.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
    count = 0
    while (head = client.gets("\r\n\r\n"))
      n = head.split[1][1..].to_i
      count += 1
      30.times { kept[rand(kept.size)] = [n.to_s * rand(4000)] }
      body = "#{n} #{count} plateau\n" * (n % 200 + 1)
      client.write("HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\n\r\n", body)
    end
    client.close
  end
end
