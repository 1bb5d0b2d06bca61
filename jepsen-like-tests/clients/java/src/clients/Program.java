// jetcd, as its documentation uses it. Arguments: host, port. Prints `ok NAME what` or
// `FAIL NAME why`, one line a step.
package clients;

import io.etcd.jetcd.Client;

final class Program {
    private Program() {}

    public static void main(String[] arguments) {
        String endpoint = "http://" + arguments[0] + ":" + arguments[1];
        Told told = new Told();
        try (Client client = Client.builder().endpoints(endpoint).build()) {
            new Keys(client, endpoint).tell(told);
            new Watches(client, arguments[0], Integer.parseInt(arguments[1])).tell(told);
            new Leases(client).tell(told);
            new Locks(client).tell(told);
            new Elections(client).tell(told);
            new Members(client, endpoint).tell(told);
            // Last: with authentication on, and off again.
            new Users(client, endpoint).tell(told);
        }
        // The library's threads would keep the program alive.
        System.exit(told.failed() ? 1 : 0);
    }
}
