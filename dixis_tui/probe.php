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
echo json_encode([
    'laravel' => $app->version(),
    'environment' => $app->environment(),
    'driver' => $connection->getDriverName(),
    'database' => $connection->getDatabaseName(),
    'down' => $app->isDownForMaintenance(),
    'config_cached' => $app->configurationIsCached(),
    'rows' => (object) $rows,
]), "\n";
