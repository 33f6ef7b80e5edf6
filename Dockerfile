# One image for web, worker, callbacks, cron and `db upgrade`; the databases of compose.yaml are images of their own.
FROM python:3.11-slim
WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
 && useradd --system --home-dir /data growth && mkdir /data && chown growth /data
USER growth
VOLUME /data
EXPOSE 8000
CMD ["growth-engine", "web"]
