<?php
// Reads a stream with PHP's own HTTP wrapper: php client.php URL
// HTTP/1.0, because the wrapper collects 8 KB of a chunked answer before it gives out a line.
// Prints one JSON line for each row, each reset, and when the client has given up for good.

$last_id = '';
while (true) {
    $header = $last_id === '' ? '' : "Last-Event-ID: $last_id\r\n";
    $options = ['http' => ['header' => $header, 'protocol_version' => '1.0', 'timeout' => 40]];
    $stream = @fopen($argv[1], 'r', false, stream_context_create($options));
    if ($stream !== false && str_contains($http_response_header[0], ' 204 ')) {
        echo '{"closed": true}', "\n";
        exit;
    }
    $fields = [];
    while ($stream !== false && ($line = fgets($stream)) !== false) {
        if ($line === "\n") {
            $last_id = $fields['id'] ?? $last_id;
            show($fields['event'] ?? 'message', $fields['data'] ?? '');
            $fields = [];
        } elseif (str_contains($line, ': ')) {
            [$name, $value] = explode(': ', $line, 2);
            $fields[$name] = rtrim($value, "\n");
        }
    }
    usleep(500_000);
}

function show(string $event, string $data): void {
    if ($event === 'message' || $event === 'reset') {
        echo '{"event": "', $event, '", "data": ', $data, "}\n";
    }
}
