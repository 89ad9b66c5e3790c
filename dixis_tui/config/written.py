"""[plan]: the operators' plan as it was written."""

from __future__ import annotations

from dixis_tui.config.base import Section


class Written(Section):
    """[plan]: the statements and commands of the operators' plan. They are only judged by the checks, never run.

    tuning: SET statements for the server; sql: accounts, indexes and questions; assets: columns that hold paths of
    files; artisan: arguments of `php artisan`; shell: command lines on the application's host.
    """

    tuning: tuple[str, ...] = (
        "SET GLOBAL innodb_buffer_pool_size = '1G'",
        "SET GLOBAL query_cache_size = '256M'",
        "SET GLOBAL max_connections = 200",
        "SET GLOBAL innodb_file_per_table = ON",
        "SET GLOBAL slow_query_log = 'ON'",
        "SET GLOBAL long_query_time = 2",
    )
    sql: tuple[str, ...] = (
        "CREATE DATABASE dixis_production CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "CREATE USER 'dixis_user'@'%' IDENTIFIED BY 'SECURE_PRODUCTION_PASSWORD'",
        "GRANT ALL PRIVILEGES ON dixis_production.* TO 'dixis_user'@'%'",
        "FLUSH PRIVILEGES",
        "CREATE INDEX idx_products_category_featured ON products (category, is_featured)",
        "CREATE INDEX idx_products_producer_active ON products (producer_id, is_active)",
        "CREATE INDEX idx_orders_user_date ON orders (user_id, created_at)",
        "CREATE INDEX idx_shipping_zones_greece ON shipping_zones (country, region)",
        "ALTER TABLE products ADD FULLTEXT(name, description)",
        "ALTER TABLE producers ADD FULLTEXT(business_name, description)",
        "SELECT 'users' AS table_name, COUNT(*) AS count FROM users UNION ALL SELECT 'products', COUNT(*) FROM products"
        " UNION ALL SELECT 'orders', COUNT(*) FROM orders UNION ALL SELECT 'producers', COUNT(*) FROM producers",
        "SELECT 'orphaned_products' AS issue, COUNT(*) AS count FROM products p"
        " LEFT JOIN producers pr ON p.producer_id = pr.id WHERE pr.id IS NULL",
        "SELECT AVG(total_tax) AS avg_tax FROM orders WHERE total_tax > 0",
    )
    assets: tuple[str, ...] = (
        "products.main_image",
        "producers.logo",
        "producers.covers",
        "categories.icons",
        "users.avatar",
    )
    artisan: tuple[str, ...] = (
        "migrate --force --env=production",
        "migrate:status --env=production",
        "db:export --connection=sqlite --format=sql",
        "db:import --connection=mysql --validate=true",
        "db:verify-integrity",
        "db:check-integrity --quiet",
        'down --message="Database maintenance in progress"',
        "config:clear",
        "cache:clear",
        "up",
    )
    shell: tuple[str, ...] = (
        "chmod -R 755 storage/app/public/",
        "cp database/database.sqlite.backup database/database.sqlite",
        "sed -i 's/DB_CONNECTION=mysql/DB_CONNECTION=sqlite/' .env",
    )
