<?php
// Boots the application as its own commands do and answers, as one line of JSON, how its sessions with MySQL and its
// cache are. Arguments: the autoload file, the environment file, "connect" to open a session with MySQL as well.
[, $autoload, $environment] = $argv;
ini_set('default_socket_timeout', '5');
require $autoload;
$app = require 'bootstrap/app.php';
$app->loadEnvironmentFrom($environment);
$app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();
$config = $app['config'];
$mysql = (array) $config->get('database.connections.mysql', []);
$options = (array) ($mysql['options'] ?? []);
$files = [];
foreach (['CA', 'CAPATH', 'CERT', 'KEY'] as $name) {
    $constant = "PDO::MYSQL_ATTR_SSL_$name";
    $path = defined($constant) ? (string) ($options[constant($constant)] ?? '') : '';
    if ($path !== '') {
        $files[$name] = ['path' => $path, 'readable' => is_readable($path)];
    }
}
$option = fn ($name) => defined("PDO::$name") ? ($options[constant("PDO::$name")] ?? null) : null;
$session = null;
if (($argv[3] ?? '') === 'connect') {
    try {
        $connection = $app['db']->connection('mysql');
        $status = [];
        foreach ($connection->select("SHOW SESSION STATUS LIKE 'Ssl\\_%'") as $row) {
            $row = array_values((array) $row);
            $status[$row[0]] = $row[1];
        }
        $account = (array) $connection->selectOne('SELECT CURRENT_USER() AS account');
        $session = [
            'default' => $config->get('database.default') === 'mysql',
            'account' => (string) reset($account),
            'cipher' => (string) ($status['Ssl_cipher'] ?? ''),
            'version' => (string) ($status['Ssl_version'] ?? ''),
            'error' => '',
        ];
    } catch (Throwable $error) {
        $session = ['default' => false, 'account' => '', 'cipher' => '', 'version' => '', 'error' => $error->getMessage()];
    }
}
$store = $config->get('cache.default');
$cache = ['store' => $store, 'driver' => $config->get("cache.stores.$store.driver"), 'redis' => []];
if ($cache['driver'] === 'redis') {
    $client = $config->get('database.redis.client', 'phpredis');
    $names = array_unique([
        $config->get("cache.stores.$store.connection") ?: 'default',
        $config->get("cache.stores.$store.lock_connection") ?: 'default',
    ]);
    foreach ($names as $name) {
        $settings = (array) $config->get("database.redis.$name", []);
        $url = parse_url((string) ($settings['url'] ?? ''));
        $where = ($url['host'] ?? $settings['host'] ?? '?') . ':' . ($url['port'] ?? $settings['port'] ?? '?');
        $problem = '';
        if ($client === 'phpredis' && ! extension_loaded('redis')) {
            $problem = 'no-extension';
        } elseif ($client === 'predis' && ! class_exists('Predis\\Client')) {
            $problem = 'no-predis';
        } elseif (! $app->bound('redis')) {
            $problem = 'no-provider';
        } elseif ($settings === []) {
            $problem = 'no-connection';
        } else {
            try {
                $config->set("database.redis.$name", $settings + ['timeout' => 5]);
                $app['redis']->connection($name)->command('ping');
            } catch (Throwable $error) {
                $problem = $error->getMessage();
            }
        }
        $cache['redis'][] = ['connection' => $name, 'client' => $client, 'where' => $where, 'problem' => $problem];
    }
}
$unread = [];
foreach (['cache.database.query_cache', 'cache.query_cache', 'database.query_cache', 'database.database.query_cache'] as $key) {
    if ($config->has($key)) {
        $unread[] = $key;
    }
}
foreach ((array) $config->get('database.connections', []) as $name => $settings) {
    if (is_array($settings) && array_key_exists('query_cache', $settings)) {
        $unread[] = "database.connections.$name.query_cache";
    }
}
echo json_encode([
    'files' => (object) $files,
    'verify' => $option('MYSQL_ATTR_SSL_VERIFY_SERVER_CERT') !== false,
    'session' => $session,
    'cache' => $cache,
    'query_cache' => $unread,
]), "\n";
