/* SPDX-License-Identifier: Apache-2.0
 *
 * A JVM whose native heap (Unsafe, as of direct buffers and zip streams) is full of holes, while one thread allocates on the
 * Java heap without end and notes the longest time that it was held up. "r" on standard input forgets it, "g" prints it.
 * Arguments: MiB, threads that make the holes, bytes of a block.
 */
import java.lang.reflect.Field;

public class Holes {
    private static final int KEEP_ONE_OF = 20;
    private static volatile Object sink;
    private static volatile long gapNsec;

    private static void makeHoles(sun.misc.Unsafe unsafe, int blocks, int bytes) {
        long[] block = new long[blocks];
        for (int i = 0; i < blocks; i++) {
            block[i] = unsafe.allocateMemory(bytes);
            unsafe.setMemory(block[i], bytes, (byte) 1);
        }
        for (int i = 0; i < blocks; i++)
            if (i % KEEP_ONE_OF != 0)
                unsafe.freeMemory(block[i]);
    }

    private static void allocate() {
        long last = System.nanoTime();
        while (true) {
            sink = new byte[4096];
            long now = System.nanoTime();
            if (now - last > gapNsec)
                gapNsec = now - last;
            last = now;
        }
    }

    private static Thread daemon(Runnable what) {
        Thread thread = new Thread(what);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    public static void main(String[] args) throws Exception {
        Field field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        sun.misc.Unsafe unsafe = (sun.misc.Unsafe) field.get(null);
        int threads = Integer.parseInt(args[1]), bytes = Integer.parseInt(args[2]);
        int blocks = (int) (Long.parseLong(args[0]) * (1 << 20) / threads / bytes);
        Thread[] makers = new Thread[threads];

        for (int i = 0; i < threads; i++)
            makers[i] = daemon(() -> makeHoles(unsafe, blocks, bytes));
        for (Thread maker : makers)
            maker.join();
        daemon(Holes::allocate);
        System.out.println("ready");
        for (int c = System.in.read(); c >= 0; c = System.in.read()) {
            if (c == 'r')
                gapNsec = 0;
            else if (c == 'g')
                System.out.println(gapNsec / 1000);
        }
    }
}
