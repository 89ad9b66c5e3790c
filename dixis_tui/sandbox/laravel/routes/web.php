<?php

use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Route;

// Which database a request is answered from; it is asked, not read from the settings alone.
Route::get('/health', function () {
    $answer = DB::selectOne('SELECT 1 AS one');

    return response()->json(['database' => DB::connection()->getDriverName(), 'answers' => $answer->one == 1]);
});

Route::get('/products', function () {
    $products = DB::table('products')->orderBy('id')->limit(20)->get(['id', 'name']);

    return response()->json($products, 200, [], JSON_UNESCAPED_UNICODE);
});

Route::get('/orders/count', fn () => response()->json(['orders' => DB::table('orders')->count()]));
