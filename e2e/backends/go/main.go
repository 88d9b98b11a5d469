// library.v1.Library in Go. Prints its port.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"heddle.test/backends/library"
)

type server struct {
	library.UnimplementedLibraryServer
	mutex sync.Mutex
	books map[string]*library.Book
}

func (s *server) GetBook(_ context.Context, request *library.GetBookRequest) (*library.Book, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	book, found := s.books[request.GetName()]
	if !found {
		failure := status.New(codes.NotFound, "no such book")
		detailed, err := failure.WithDetails(&errdetails.ResourceInfo{ResourceType: "book", ResourceName: request.GetName()})
		if err != nil {
			return nil, err
		}
		return nil, detailed.Err()
	}
	return book, nil
}

func (s *server) CreateBook(ctx context.Context, request *library.CreateBookRequest) (*library.Book, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	book := request.GetBook()
	book.Name = fmt.Sprintf("%s/books/%d", request.GetParent(), len(s.books)+1)
	s.books[book.GetName()] = book
	if err := grpc.SetHeader(ctx, metadata.Pairs("x-http-code", "201")); err != nil {
		return nil, err
	}
	return book, nil
}

func (s *server) WatchBooks(request *library.WatchBooksRequest, stream grpc.ServerStreamingServer[library.Book]) error {
	for index := range request.GetCount() {
		book := &library.Book{Name: fmt.Sprintf("%s/books/%d", request.GetParent(), index+1), Pages: int64(index)}
		if err := stream.Send(book); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	if request.GetCount() > 3 {
		return status.Error(codes.DataLoss, "the shelf broke")
	}
	return nil
}

func (s *server) CountPages(stream grpc.ClientStreamingServer[library.Book, library.CountPagesResponse]) error {
	var pages int64
	for {
		book, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&library.CountPagesResponse{Pages: pages})
		}
		if err != nil {
			return err
		}
		pages += book.GetPages()
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer()
	library.RegisterLibraryServer(s, &server{books: map[string]*library.Book{}})
	reflection.Register(s)
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(s.Serve(listener))
}
