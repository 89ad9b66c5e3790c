<?php
// Boots the application as its own commands do and answers, as one line of JSON, which database it really uses.
// Arguments: the autoload file, the environment file, a JSON list of tables to count.
[, $autoload, $environment, $tables] = $argv;
require $autoload;
$app = require 'bootstrap/app.php';
$app->loadEnvironmentFrom($environment);
$app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();
$connection = $app['db']->connection();
$rows = [];
foreach (json_decode($tables) as $table) {
    $rows[$table] = $connection->getSchemaBuilder()->hasTable($table) ? $connection->table($table)->count() : null;
}
$maintenance = $app['config']->get('app.maintenance.driver', 'file');
$default = $app['config']->get('cache.default');
$store = $maintenance === 'cache' ? ($app['config']->get('app.maintenance.store') ?: $default) : null;
echo json_encode([
    'laravel' => $app->version(),
    'environment' => $app->environment(),
    'driver' => $connection->getDriverName(),
    'database' => $connection->getDatabaseName(),
    'down' => $app->isDownForMaintenance(),
    'flag' => [
        'driver' => $maintenance,
        'path' => $app->storagePath() . '/framework/down',
        'store' => $store,
        'store_driver' => $store === null ? null : $app['config']->get("cache.stores.$store.driver"),
        'cleared' => $store !== null && $store === $default,
    ],
    'config_cached' => $app->configurationIsCached(),
    'rows' => (object) $rows,
]), "\n";
