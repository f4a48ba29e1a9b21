// SPDX-License-Identifier: Apache-2.0
// node:http; every request takes and frees memory outside V8's heap (Buffer) and in it.
const http = require('http');
const kept = new Array(2000);

http.createServer((request, response) => {
        const n = Number(request.url.slice(1));
        const socket = request.socket;

        socket.count = (socket.count || 0) + 1;
        for (let i = 0; i < 30; i++)
                kept[Math.floor(Math.random() * kept.length)] =
                        [Buffer.alloc(4096 + Math.floor(Math.random() * 20000)), String(n).repeat(20)];
        const body = `${n} ${socket.count} plateau\n`.repeat(n % 200 + 1);
        response.setHeader('Content-Length', body.length);
        response.end(body);
}).listen(0, '127.0.0.1', function () { console.log('ready', this.address().port); });
