"""library.v1.Library in Python. Prints its port."""

import sys
import time
from concurrent import futures

import grpc
from google.rpc import error_details_pb2, status_pb2
from google.protobuf import any_pb2
from grpc_reflection.v1alpha import reflection

sys.path.insert(0, sys.argv[1])
import library_pb2  # noqa: E402
import library_pb2_grpc  # noqa: E402


class Library(library_pb2_grpc.LibraryServicer):
    def __init__(self):
        self.books = {}

    def GetBook(self, request, context):
        book = self.books.get(request.name)
        if book is None:
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ResourceInfo(resource_type="book", resource_name=request.name))
            status = status_pb2.Status(code=5, message="no such book", details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.NOT_FOUND, "no such book")
        return book

    def CreateBook(self, request, context):
        request.book.name = f"{request.parent}/books/{len(self.books) + 1}"
        self.books[request.book.name] = request.book
        context.send_initial_metadata((("x-http-code", "201"),))
        return request.book

    def WatchBooks(self, request, context):
        for index in range(request.count):
            yield library_pb2.Book(name=f"{request.parent}/books/{index + 1}", pages=index)
            time.sleep(0.01)
        if request.count > 3:
            context.abort(grpc.StatusCode.DATA_LOSS, "the shelf broke")

    def CountPages(self, requests, context):
        return library_pb2.CountPagesResponse(pages=sum(book.pages for book in requests))


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
library_pb2_grpc.add_LibraryServicer_to_server(Library(), server)
reflection.enable_server_reflection((library_pb2.DESCRIPTOR.services_by_name["Library"].full_name,), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on 127.0.0.1:{port}", flush=True)
server.wait_for_termination()
