// SPDX-License-Identifier: Apache-2.0
#include "oci/layer_type.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace cbuild;
using namespace cbuild::oci;

TEST_CASE("docker's, foreign and the image-spec's own names of a layer become one") {
  for (const std::string end : {"", "gzip", "zstd"}) {
    CAPTURE(end);
    const std::string plus = end.empty() ? "" : "+" + end, dot = end.empty() ? "" : "." + end;
    const std::string oci = cat("application/vnd.oci.image.layer.v1.tar", plus);
    const std::string docker = cat("application/vnd.docker.image.rootfs.diff.tar", dot);
    for (const std::string& type : {oci, docker, cat("application/vnd.oci.image.layer.nondistributable.v1.tar", plus),
                                    cat("application/vnd.docker.image.rootfs.foreign.diff.tar", dot)}) {
      CAPTURE(type);
      CHECK(oci_layer_type(type) == oci);
      CHECK(docker_layer_type(type) == docker);
    }
  }
}

TEST_CASE("a type that is not known stays") {
  CHECK(oci_layer_type("application/x-other") == "application/x-other");
  CHECK(docker_layer_type("") == "");
}
