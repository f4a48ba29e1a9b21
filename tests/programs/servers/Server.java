// SPDX-License-Identifier: Apache-2.0
import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;

/** The JDK's own HTTP server with a pool of threads; every request takes and frees direct buffers, which are malloc's. */
public class Server {
        static final ByteBuffer[] kept = new ByteBuffer[500];
        static final ConcurrentHashMap<InetSocketAddress, Integer> counts = new ConcurrentHashMap<>();

        public static void main(String[] args) throws Exception {
                Random random = new Random();
                HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);

                server.createContext("/", exchange -> {
                        long n = Long.parseLong(exchange.getRequestURI().getPath().substring(1));
                        int count = counts.merge(exchange.getRemoteAddress(), 1, Integer::sum);

                        synchronized (kept) {
                                for (int i = 0; i < 10; i++)
                                        kept[random.nextInt(kept.length)] = ByteBuffer.allocateDirect(random.nextInt(30000));
                        }
                        byte[] body = (n + " " + count + " plateau\n").repeat((int)(n % 200) + 1).getBytes();
                        exchange.sendResponseHeaders(200, body.length);
                        exchange.getResponseBody().write(body);
                        exchange.close();
                });
                server.setExecutor(Executors.newFixedThreadPool(8));
                server.start();
                System.out.println("ready " + server.getAddress().getPort());
        }
}
