// Runs the steps and prints what each saw.
package clients;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.common.exception.EtcdException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

final class Told {
    static final String PREFIX = "clients/java/";
    private static final int PATIENCE_SECONDS = 30;
    private boolean failed;

    /** A step gives what there is to compare. */
    interface Step {
        Object run() throws Exception;
    }

    boolean failed() {
        return failed;
    }

    void step(String name, Step work) {
        try {
            System.out.println(("ok " + name + " " + work.run()).replace('\n', ' '));
        } catch (Exception | AssertionError error) {
            failed = true;
            System.out.println(("FAIL " + name + " " + words(error)).replace('\n', ' '));
        }
    }

    static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    }

    /** What comes next, within the patience. */
    static <T> T next(BlockingQueue<T> queue) throws Exception {
        T one = queue.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
        if (one == null) {
            throw new TimeoutException("nothing came");
        }
        return one;
    }

    static <T> List<T> next(BlockingQueue<T> queue, int count) throws Exception {
        List<T> all = new ArrayList<>();
        while (all.size() < count) {
            all.add(next(queue));
        }
        return all;
    }

    /** The error that a call must end with. */
    static String refused(CompletableFuture<?> future) throws Exception {
        Object answer;
        try {
            answer = get(future);
        } catch (ExecutionException error) {
            return words(error);
        }
        throw new AssertionError("not refused: " + answer);
    }

    /** Class, code and text of an error, below what futures wrap it in. */
    static String words(Throwable error) {
        while ((error instanceof ExecutionException || error instanceof CompletionException)
                && error.getCause() != null) {
            error = error.getCause();
        }
        String code = error instanceof EtcdException etcd ? " " + etcd.getErrorCode() : "";
        String why = error.getCause() == null ? "" : " <- " + error.getCause().getMessage();
        return error.getClass().getSimpleName() + code + ": " + error.getMessage() + why;
    }

    static void equal(Object seen, Object wanted) {
        if (!wanted.equals(seen)) {
            throw new AssertionError(seen + ", not " + wanted);
        }
    }

    static void holds(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    static ByteSequence bytes(String text) {
        return ByteSequence.from(text, StandardCharsets.UTF_8);
    }

    static String text(ByteSequence bytes) {
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
