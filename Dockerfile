# The demo in a container:  docker build -t crild . && docker run --rm -v "$PWD/runs:/runs" crild
# Everything is fetched while it is built; the run needs no network. Other verbs: docker run --rm crild methods
FROM python:3.11-slim
# PyPI's torch for Linux brings gigabytes of CUDA libraries; this index has the same version for the CPU.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_NO_CACHE_DIR=1
WORKDIR /crild
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install -c constraints.txt ".[demo]" && useradd --create-home crild && mkdir /runs && chown crild /runs
USER crild
WORKDIR /runs
ENTRYPOINT ["crild"]
CMD ["demo", "--output", "/runs/demo"]
