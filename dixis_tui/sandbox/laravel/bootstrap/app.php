<?php

$app = new Illuminate\Foundation\Application(dirname(__DIR__));

require_once __DIR__.'/../app/Http/Kernel.php';
require_once __DIR__.'/../app/Providers/RouteServiceProvider.php';

$app->singleton(Illuminate\Contracts\Http\Kernel::class, App\Http\Kernel::class);
$app->singleton(Illuminate\Contracts\Console\Kernel::class, Illuminate\Foundation\Console\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);

return $app;
