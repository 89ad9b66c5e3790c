<?php
// Boots the application as its own commands do and answers, as one line of JSON, how it is set up; no secret among it.
// Arguments: the autoload file, the environment file.
[, $autoload, $environment] = $argv;
$outside = array_values(array_filter(
    array_keys(getenv()),
    fn ($key) => str_starts_with($key, 'DB_') || $key === 'DATABASE_URL' || $key === 'APP_ENV'
));
require $autoload;
$app = require 'bootstrap/app.php';
$app->loadEnvironmentFrom($environment);
$app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();
$config = $app['config'];
$mysql = (array) $config->get('database.connections.mysql', []);
$of = fn ($kind, $name) => $config->get("$kind.$name.driver", $name);
$cache = $config->get('cache.default');
$queue = $config->get('queue.default');
$links = [];
foreach ((array) $config->get('filesystems.links', []) as $link => $folder) {
    $links[$link] = is_link($link) && realpath($link) === realpath($folder);
}
echo json_encode([
    'laravel' => $app->version(),
    'zone' => $config->get('app.timezone'),
    'config_cached' => $app->configurationIsCached(),
    'cache_writable' => is_writable($app->bootstrapPath('cache')),
    'cache' => $of('cache.stores', $cache),
    'queue' => $of('queue.connections', $queue),
    'session' => $config->get('session.driver'),
    'maintenance' => $config->get('app.maintenance.driver', 'file'),
    'maintenance_store' => $config->get('app.maintenance.store', $cache),
    'mysql' => array_intersect_key($mysql, array_flip(['charset', 'collation', 'timezone', 'strict', 'engine', 'prefix'])),
    'mysql_keys' => array_keys($mysql),
    'mysql_url' => ! empty($mysql['url']),
    'mysql_options' => array_map('strval', array_keys((array) ($mysql['options'] ?? []))),
    'unbuffered' => defined('PDO::MYSQL_ATTR_USE_BUFFERED_QUERY')
        && (($mysql['options'] ?? [])[PDO::MYSQL_ATTR_USE_BUFFERED_QUERY] ?? true) === false,
    'pdo_mysql' => extension_loaded('pdo_mysql'),
    'ssl_ca_option' => defined('PDO::MYSQL_ATTR_SSL_CA') ? (string) PDO::MYSQL_ATTR_SSL_CA : '',
    'links' => (object) $links,
    'outside' => $outside,
]), "\n";
