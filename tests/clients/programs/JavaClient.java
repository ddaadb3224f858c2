// Reads a stream with the HttpClient of Java 11: java JavaClient.java URL
// Prints one JSON line for each row, each reset, and when the client has given up for good.
// A row's data is printed as it came, since Java has no JSON of its own.

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.HashMap;
import java.util.Map;

public class JavaClient {
    static String lastId = "";

    public static void main(String[] arguments) throws InterruptedException {
        HttpClient client = HttpClient.newHttpClient();
        while (true) {
            try {
                if (!read(client, URI.create(arguments[0]))) {
                    System.out.println("{\"closed\": true}");
                    return;
                }
            } catch (IOException | UncheckedIOException error) {
                System.err.println(error);
            }
            Thread.sleep(500);
        }
    }

    /** Until the stream ends; whether to come back. */
    static boolean read(HttpClient client, URI url) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(url);
        if (!lastId.isEmpty()) {
            request.header("Last-Event-ID", lastId);
        }
        HttpResponse<java.util.stream.Stream<String>> answer =
            client.send(request.build(), HttpResponse.BodyHandlers.ofLines());
        if (answer.statusCode() == 204) {
            return false;
        }
        Map<String, String> fields = new HashMap<>();
        answer.body().forEach(line -> {
            int colon = line.indexOf(": ");
            if (colon > 0) {
                fields.put(line.substring(0, colon), line.substring(colon + 2));
            } else if (line.isEmpty()) {
                lastId = fields.getOrDefault("id", lastId);
                show(fields.getOrDefault("event", "message"), fields.get("data"));
                fields.clear();
            }
        });
        return true;
    }

    static void show(String event, String data) {
        if (event.equals("message") || event.equals("reset")) {
            System.out.println("{\"event\": \"" + event + "\", \"data\": " + data + "}");
        }
    }
}
