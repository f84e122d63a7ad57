# The live window in a browser, with the bundled network:
#
#   docker build -t live-vis .
#   docker run --rm -p 127.0.0.1:8765:8765 live-vis
#
# It prints the address to open. Networks and photos of your own are mounted:
#
#   docker run --rm -p 127.0.0.1:8765:8765 -v "$PWD/photos:/data:ro" live-vis --image /data
FROM python:3.12-slim-bookworm

# What OpenCV's wheel takes from the system.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.txt ./
# The CPU build of PyTorch, a tenth of the size; another index for a GPU.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r requirements.txt

COPY live_vis.py settings.py LICENSE ./
COPY toolbox/ toolbox/
COPY torchcaffe/ torchcaffe/
COPY caffevis/ caffevis/
COPY optimize/ optimize/
COPY find_maxes/ find_maxes/
COPY input_images/ input_images/
COPY models/caffenet-caltech101/ models/caffenet-caltech101/

RUN useradd --create-home viewer
USER viewer
# Where p saves pictures and --record a film, as no other folder may be written to.
WORKDIR /home/viewer
ENV OMP_NUM_THREADS=2 PYTHONUNBUFFERED=1

# Within the container it listens everywhere; who reaches it, -p of docker run decides.
EXPOSE 8765
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "/app/live_vis.py", "--serve", "0.0.0.0:8765", "--public", "http://127.0.0.1:8765"]
