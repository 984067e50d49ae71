// SPDX-License-Identifier: Apache-2.0
#include "oci/blob_store_suite.h"
#include "oci/layer/test_support.h"

TEST_CASE("blobs in memory, as tests have them, keep the contract of a blob store") {
  cbuild::oci::layer::test::MemoryBlobs blobs;
  cbuild::oci::testing::check_blob_store(blobs);
}
