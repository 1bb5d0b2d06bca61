// A way to the server that can be cut, and opened again on the same port.
package clients;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

final class Cut implements AutoCloseable {
    private final String host;
    private final int to;
    private final int port;
    private final List<Socket> open = new ArrayList<>();
    private ServerSocket door;

    Cut(String host, int to) throws IOException {
        this.host = host;
        this.to = to;
        this.door = listen(0);
        this.port = door.getLocalPort();
        start();
    }

    String endpoint() {
        return "http://" + host + ":" + port;
    }

    /** Ends every connection; new ones are refused until it is opened again. */
    synchronized void cut() throws IOException {
        door.close();
        for (Socket one : open) {
            one.close();
        }
        open.clear();
    }

    synchronized void mend() throws IOException {
        door = listen(port);
        start();
    }

    @Override
    public void close() throws IOException {
        cut();
    }

    private ServerSocket listen(int port) throws IOException {
        ServerSocket door = new ServerSocket();
        door.setReuseAddress(true);
        door.bind(new InetSocketAddress(InetAddress.getByName(host), port));
        return door;
    }

    private void start() {
        ServerSocket mine = door;
        daemon(() -> {
            while (true) {
                Socket client = mine.accept();
                Socket server = new Socket(host, to);
                synchronized (this) {
                    open.add(client);
                    open.add(server);
                }
                daemon(() -> copy(client, server));
                daemon(() -> copy(server, client));
            }
        });
    }

    private static void copy(Socket from, Socket to) throws IOException {
        try (from; to) {
            from.getInputStream().transferTo(to.getOutputStream());
        }
    }

    private interface Work {
        void run() throws IOException;
    }

    /** Runs until a socket is closed: that is how each of them ends. */
    private static void daemon(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (IOException ended) {
                return;
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
