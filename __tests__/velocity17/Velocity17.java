import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.io.StringWriter;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.app.VelocityEngine;
import org.apache.velocity.runtime.RuntimeConstants;
import org.apache.velocity.runtime.log.NullLogChute;

/**
 * Evaluates the lines that print-corpus.ts prints on Apache Velocity 1.7 and compares: the text that is printed,
 * the status that is set, or that both throw.
 */
public final class Velocity17 {
    /** A small stack: whatever recurses over a long text shows here before it shows on AWS. */
    private static final long STACK_BYTES = 256 * 1024;

    /** Jackson, because API Gateway's messages about JSON that it cannot parse are Jackson's. */
    private static final ObjectMapper JSON =
        new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private final VelocityEngine engine = new VelocityEngine();
    private int passed;
    private int failed;

    public static void main(String[] arguments) throws Exception {
        Velocity17 harness = new Velocity17();
        Thread thread = new Thread(null, () -> harness.run(arguments[0]), "corpus", STACK_BYTES);
        thread.start();
        thread.join();
        System.out.println(harness.passed + " passed, " + harness.failed + " failed");
        System.exit(harness.passed > 0 && harness.failed == 0 ? 0 : 1);
    }

    private Velocity17() {
        engine.setProperty(RuntimeConstants.RUNTIME_LOG_LOGSYSTEM_CLASS, NullLogChute.class.getName());
        engine.setProperty("velocimacro.library", "");
        engine.setProperty("directive.foreach.maxloops", 1000);
        engine.init();
    }

    private void run(String file) {
        try (BufferedReader lines = new BufferedReader(
                new InputStreamReader(new FileInputStream(file), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                compare((Map<?, ?>) parse(line));
            }
        } catch (Exception error) {
            failed++;
            System.out.println("FAILED: the corpus cannot be read: " + error);
        }
    }

    private void compare(Map<?, ?> expected) {
        Map<String, Object> seen = evaluate((String) expected.get("template"), (String) expected.get("body"));
        if (same(seen, expected)) {
            passed++;
            return;
        }
        failed++;
        System.out.println("FAILED: " + expected.get("name"));
        System.out.println("  Velocity 1.7: " + seen);
        System.out.println("  rehearsal:    " + expected.get("output") + " status " + expected.get("status"));
    }

    private static boolean same(Map<?, ?> seen, Map<?, ?> expected) {
        return Objects.equals(seen.get("output"), expected.get("output"))
            && Objects.equals(seen.get("status"), expected.get("status"));
    }

    private Map<String, Object> evaluate(String template, String body) {
        Map<String, Object> responseOverride = new HashMap<>();
        Map<String, Object> context = new HashMap<>();
        context.put("requestId", "request-1");
        context.put("responseOverride", responseOverride);
        VelocityContext velocity = new VelocityContext();
        velocity.put("input", new Input(body));
        velocity.put("util", new Util());
        velocity.put("context", context);
        Map<String, Object> seen = new HashMap<>();
        try {
            StringWriter writer = new StringWriter();
            engine.evaluate(velocity, writer, "template", template);
            seen.put("output", writer.toString());
            seen.put("status", responseOverride.get("status"));
        } catch (Exception | StackOverflowError error) {
            seen.put("thrown", error.toString());
        }
        return seen;
    }

    private static Object parse(String json) throws Exception {
        return JSON.readValue(json, Object.class);
    }

    /** API Gateway's $input, as far as the templates use it. */
    public static final class Input {
        private final String body;

        Input(String body) {
            this.body = body;
        }

        public String getBody() {
            return body;
        }

        /** One member of the document; a body that is no JSON has none. */
        public Object path(String path) {
            try {
                Object root = parse(body);
                return root instanceof Map ? ((Map<?, ?>) root).get(path.substring("$.".length())) : null;
            } catch (Exception error) {
                return null;
            }
        }
    }

    /** API Gateway's $util, as far as the templates use it. */
    public static final class Util {
        public Object parseJson(String json) throws Exception {
            return parse(json);
        }

        public String urlDecode(String encoded) throws Exception {
            return URLDecoder.decode(encoded, "UTF-8");
        }
    }
}
